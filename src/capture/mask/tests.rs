//! What is masked and what is not, row by row. No secret here is one: the tokens are put together when the test runs.

use proptest::prelude::*;

use super::mask;

/// Letters and digits that look drawn by lot.
const LOT: &str = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0fG3iJ6lM9oP2rS5uV8xA1cD4eF7hI0kL3nO6qR9tU2wX5zY8";

fn lot(length: usize) -> String {
    LOT.chars().cycle().take(length).collect()
}

fn capitals(length: usize) -> String {
    lot(length).to_uppercase()
}

/// Tokens of every known shape, and what each is called.
fn tokens() -> Vec<(String, &'static str)> {
    let jwt = format!("eyJ{}.eyJ{}.{}", lot(30), lot(40), lot(43));
    let mut all = vec![
        (format!("AKIA{}", capitals(16)), "aws key"),
        (format!("ASIA{}", capitals(16)), "aws key"),
        (format!("AIza{}", lot(35)), "google key"),
        (jwt, "json web token"),
        (format!("123456789:AA{}", lot(33)), "telegram token"),
        (format!("AGE-SECRET-KEY-1{}", capitals(58)), "age key"),
        (format!("SG.{}.{}", lot(22), lot(43)), "sendgrid key"),
        (format!("{}.atlasv1.{}", lot(14), lot(66)), "terraform token"),
        (format!("xoxb-123456789012-1234567890123-{}", lot(24)), "slack token"),
        (format!("sk-ant-api03-{}-{}AA", lot(60), lot(30)), "anthropic key"),
        (format!("sk-proj-{}_{}", lot(70), lot(50)), "openai key"),
        (format!("pypi-AgEIcHlwaS5vcmc{}", lot(120)), "pypi token"),
    ];
    for prefix in ["ghp_", "gho_", "ghu_", "ghs_", "ghr_"] {
        all.push((format!("{prefix}{}", lot(36)), "github token"));
    }
    for (prefix, length, kind) in [
        ("github_pat_", 82, "github token"),
        ("glpat-", 20, "gitlab token"),
        ("gldt-", 20, "gitlab token"),
        ("glrt-", 20, "gitlab token"),
        ("xoxp-", 60, "slack token"),
        ("xoxa-", 40, "slack token"),
        ("xoxs-", 40, "slack token"),
        ("xapp-", 60, "slack token"),
        ("sk_live_", 24, "stripe key"),
        ("rk_live_", 24, "stripe key"),
        ("sk_test_", 24, "stripe key"),
        ("whsec_", 32, "stripe key"),
        ("sk-", 48, "openai key"),
        ("sk-svcacct-", 48, "openai key"),
        ("sk-or-v1-", 64, "openrouter key"),
        ("npm_", 36, "npm token"),
        ("hf_", 34, "hugging face token"),
        ("gsk_", 52, "groq key"),
        ("r8_", 37, "replicate token"),
        ("ntn_", 46, "notion token"),
        ("lin_api_", 40, "linear key"),
        ("figd_", 40, "figma token"),
        ("dop_v1_", 64, "digitalocean token"),
        ("dckr_pat_", 27, "docker token"),
        ("shpat_", 32, "shopify token"),
        ("glsa_", 41, "grafana token"),
        ("sbp_", 40, "supabase token"),
        ("rubygems_", 48, "rubygems key"),
        ("GOCSPX-", 28, "google secret"),
        ("ya29.", 120, "google token"),
        ("hvs.", 90, "vault token"),
        ("dp.pt.", 43, "doppler token"),
        ("tskey-auth-", 30, "tailscale key"),
        ("PMAK-", 59, "postman key"),
        ("sq0atp-", 22, "square token"),
        ("key-", 32, "mailgun key"),
        ("xai-", 80, "xai key"),
        ("nvapi-", 64, "nvidia key"),
    ] {
        all.push((format!("{prefix}{}", lot(length)), kind));
    }
    all
}

fn pem(label: &str, line: &str) -> String {
    let body = [lot(64), lot(64), format!("{}==", lot(30))].join(line);
    format!("-----BEGIN {label}-----{line}{body}{line}-----END {label}-----")
}

/// `mask(text)`, having checked that a second time changes nothing.
#[track_caller]
fn masked(text: &str) -> String {
    let once = mask(text);
    let again = mask(&once.text);
    assert_eq!((again.text.as_ref(), again.count), (once.text.as_ref(), 0), "masked twice: {text}");
    once.text.into_owned()
}

#[test]
fn each_known_token_is_masked_wherever_it_stands() {
    for (token, kind) in tokens() {
        for (before, after) in [
            ("", ""),
            ("use ", " here."),
            ("(", ")"),
            ("\"", "\""),
            ("`", "`"),
            ("https://h/x?t=", "&u=1"),
            ("line\n", "\nline"),
            ("{\"a\":\"b\\n", "\\nc\"}"),
            ("%3D", "%26"),
            ("\u{1b}[31m", "\u{1b}[0m"),
            ("a,", ",b"),
            ("é", "é"),
            ("→", "…"),
        ] {
            let text = format!("{before}{token}{after}");
            assert_eq!(masked(&text), format!("{before}[masked: {kind}]{after}"), "{text}");
        }
    }
}

#[test]
fn a_token_that_is_broken_by_a_line_end_is_masked_whole() {
    let token = format!("ghp_{}", lot(36));
    for at in [10, 20, 35] {
        let text = format!("the token is {}\n  {} yes", &token[..at], &token[at..]);
        assert_eq!(masked(&text), "the token is [masked: github token] yes", "{text}");
    }
    let long = format!("sk-ant-api03-{}", lot(95));
    let text = format!("{}\r\n{}\nand so on", &long[..60], &long[60..]);
    assert_eq!(masked(&text), "[masked: anthropic key]\nand so on");
    // A whole token takes nothing of the next line.
    assert_eq!(masked(&format!("{token}\nnext")), "[masked: github token]\nnext");
}

#[test]
fn private_keys_are_masked_in_every_form() {
    for label in [
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "PGP PRIVATE KEY BLOCK",
    ] {
        for line in ["\n", "\r\n", "\\n", "\\r\\n", "\\\\n", "\n    ", "\" +\n  \"", "\\n\" +\n \""] {
            let text = format!("before {} after", pem(label, line));
            assert_eq!(masked(&text), "before [masked: private key] after", "{text}");
        }
        // Cut off by the end of the text, or of the string that it is in.
        let whole = pem(label, "\n");
        let cut = &whole[..whole.len() - 60];
        assert_eq!(masked(cut), "[masked: private key]", "{cut}");
        let whole = pem(label, "\\n");
        let text = format!("{{\"a\":\"{}\"}} and more", &whole[..whole.find("-----END").unwrap() - 20]);
        assert_eq!(masked(&text), "{\"a\":\"[masked: private key]\"} and more", "{text}");
    }
    let two = format!("{}\n{}", pem("PRIVATE KEY", "\n"), pem("RSA PRIVATE KEY", "\n"));
    assert_eq!(
        (masked(&two).as_str(), mask(&two).count),
        ("[masked: private key]\n[masked: private key]", 2)
    );
}

#[test]
fn values_are_masked_and_their_names_stay() {
    for (text, expected) in [
        ("API_KEY=abc", "API_KEY=[masked: secret]"),
        ("export DB_PASSWORD=hunter2", "export DB_PASSWORD=[masked: secret]"),
        ("export TOKEN='a b'", "export TOKEN='[masked: secret]'"),
        (
            "with PASSWORD=hunter2, and (KEY=a1b2)",
            "with PASSWORD=[masked: secret], and (KEY=[masked: secret])",
        ),
        ("$ export PASSWORD=p@ss,w", "$ export PASSWORD=[masked: secret]"),
        ("PASSWORD=p@ss;w&rd#1!", "PASSWORD=[masked: secret]"),
        ("  PGPASSWORD=x psql -h db", "  PGPASSWORD=[masked: secret] psql -h db"),
        ("docker run -e DB_PASS=abc img", "docker run -e DB_PASS=[masked: secret] img"),
        ("environment: [\"DB_PASS=abc\"]", "environment: [\"DB_PASS=[masked: secret]\"]"),
        ("A=1\\nDB_PASS=abc\\nB=2", "A=1\\nDB_PASS=[masked: secret]\\nB=2"),
        ("password: swordfish", "password: [masked: secret]"),
        ("  - db_password: hunter2 # old", "  - db_password: [masked: secret] # old"),
        ("+password: swordfish", "+password: [masked: secret]"),
        ("    12→password: swordfish\n", "    12→password: [masked: secret]\n"),
        ("password: |\n  swordfish\n", "password: |\n  [masked: secret]\n"),
        ("{password: hunter2, user: x}", "{password: [masked: secret], user: x}"),
        ("my password: hunter2 (old)", "my password: [masked: secret] (old)"),
        ("**Password**: hunter2", "**Password**: [masked: secret]"),
        ("{\"password\": \"swordfish\"}", "{\"password\": \"[masked: secret]\"}"),
        ("{\"password\":\n    \"swordfish\"}", "{\"password\":\n    \"[masked: secret]\"}"),
        ("{\\\"password\\\":\\\"swordfish\\\"}", "{\\\"password\\\":\\\"[masked: secret]\\\"}"),
        (
            "{\\\\\\\"token\\\\\\\": \\\\\\\"abc\\\\\\\"}",
            "{\\\\\\\"token\\\\\\\": \\\\\\\"[masked: secret]\\\\\\\"}",
        ),
        ("{\"secret\": \"a\\\"b\"}", "{\"secret\": \"[masked: secret]\"}"),
        ("{'apiKey': 'abc'}", "{'apiKey': '[masked: secret]'}"),
        ("env[\"API_KEY\"] = \"abc\"", "env[\"API_KEY\"] = \"[masked: secret]\""),
        ("config.password = \"correct horse\"", "config.password = \"[masked: secret]\""),
        ("const apiKey: string = 'abc';", "const apiKey: string = '[masked: secret]';"),
        ("let password: &'static str = \"abc\";", "let password: &'static str = \"[masked: secret]\";"),
        ("password := \"abc\"", "password := \"[masked: secret]\""),
        ("'password' => 'abc'", "'password' => '[masked: secret]'"),
        ("if token == \"abc\" {", "if token == \"[masked: secret]\" {"),
        ("password = hunter2", "password = [masked: secret]"),
        ("password=swordfish", "password=[masked: secret]"),
        ("/cb?user=ann&token=abc&x=1", "/cb?user=ann&token=[masked: secret]&x=1"),
        (
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCY",
            "aws_secret_access_key = [masked: secret]",
        ),
        (
            "AWS_SECRET_ACCESS_KEY=/JalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY1",
            "AWS_SECRET_ACCESS_KEY=[masked: secret]",
        ),
        ("client-key-data: LS0tLS1CRUdJTiBSU0E", "client-key-data: [masked: secret]"),
        ("SECRET=\"line one\nline two\"", "SECRET=\"[masked: secret]\""),
        ("secret = \"\"\"line one\nline two\"\"\"", "secret = \"\"\"[masked: secret]\"\"\""),
        ("mysql --password hunter2 db", "mysql --password [masked: secret] db"),
        ("x --password value", "x --password [masked: secret]"),
        ("x --api-key=abc123", "x --api-key=[masked: secret]"),
        ("x --token 'a b' y", "x --token '[masked: secret]' y"),
        ("x --token \\\n   abc", "x --token \\\n   [masked: secret]"),
        ("[\"--password\", \"abc\"]", "[\"--password\", \"[masked: secret]\"]"),
        ("echo \"x\" TOKEN=\"abc\"", "echo \"x\" TOKEN=\"[masked: secret]\""),
        ("PIN=1234", "PIN=[masked: secret]"),
        ("password: 12345678", "password: [masked: secret]"),
        ("password: $2b$12$KIXabc", "password: [masked: secret]"),
        ("<password>swordfish</password>", "<password>[masked: secret]</password>"),
        (
            "{\"name\": \"DB_PASSWORD\", \"value\": \"abc\"}",
            "{\"name\": \"DB_PASSWORD\", \"value\": \"[masked: secret]\"}",
        ),
        ("- name: DB_PASSWORD\n  value: swordfish\n", "- name: DB_PASSWORD\n  value: [masked: secret]\n"),
        ("Authorization: Bearer abc", "Authorization: Bearer [masked: secret]"),
        ("-H 'Authorization: Basic YTpi' x", "-H 'Authorization: Basic [masked: secret]' x"),
        ("\"Authorization\": \"Bearer abc\"", "\"Authorization\": \"Bearer [masked: secret]\""),
        ("Authorization: abc123def", "Authorization: [masked: secret]"),
        ("Cookie: sid=abc; theme=dark\nHost: h", "Cookie: [masked: secret]\nHost: h"),
        ("sent Bearer abc123def456 to it", "sent Bearer [masked: token] to it"),
        ("sent Basic YW5uOnNlY3JldA== to it", "sent Basic [masked: password] to it"),
        ("curl -u ann:hunter2 http://h", "curl -u ann:[masked: password] http://h"),
    ] {
        assert_eq!(masked(text), expected, "{text}");
    }
}

#[test]
fn of_an_address_the_password_alone_is_masked() {
    for (text, expected) in [
        ("postgres://u:pw@h/db", "postgres://u:[masked: password]@h/db"),
        ("redis://:pw@h:6379", "redis://:[masked: password]@h:6379"),
        ("DATABASE_URL=mysql://root:p@ss@h/x", "DATABASE_URL=mysql://root:[masked: password]@h/x"),
        ("jdbc:postgresql://u:pw@h/db", "jdbc:postgresql://u:[masked: password]@h/db"),
        ("{\"url\":\"https:\\/\\/u:pw@h\\/x\"}", "{\"url\":\"https:\\/\\/u:[masked: password]@h\\/x\"}"),
        ("git clone https://ann:abc123@h/r.git", "git clone https://ann:[masked: password]@h/r.git"),
        (
            "<https://u:pw@h>, [x](http://u:pw@h)",
            "<https://u:[masked: password]@h>, [x](http://u:[masked: password]@h)",
        ),
        (
            "https://hooks.slack.com/services/T00000000/B00000000/abcdefghijkl",
            "https://hooks.slack.com/services/[masked: webhook]",
        ),
    ] {
        assert_eq!(masked(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    let image = format!("data:image/png;base64,{}", lot(200));
    assert_eq!(masked(&format!("![x]({image})")), "![x]([image])");
    assert_eq!(mask(&image).count, 0);
    for text in [
        "token = parse(x)",
        "token = lexer.next",
        "let token = self.next_token();",
        "password = args.password",
        "password = user_input",
        "PASSWORD=$PASSWORD",
        "PASSWORD=${PASSWORD:-}",
        "PASSWORD=$(cat /run/x)",
        "PASSWORD=",
        "KEY=",
        "KEY= \nNEXT=1",
        "PASSWORD=\"\"",
        "PASSWORD=\"$PASSWORD\"",
        "password: string",
        "password: string;",
        "password?: string | null",
        "token: Option<String>,",
        "pub token: AuthToken,",
        "key: &str, token: &Token",
        "fn f(password: &str, key: u64)",
        "def f(token: str, password=None):",
        "f(token=token, password=get_password())",
        "sorted(x, key=len)",
        "sorted(x, key=lambda v: v.n)",
        "if password == other {",
        "Token::new()",
        "x.filter(token => token.ok)",
        "\"private\": true",
        "{\"key\": \"name\", \"value\": \"x\"}",
        "{\"key\": \"Enter\"}",
        "<li key={item.id} i18nKey=\"home.title\">",
        "\"max_tokens\": 4096",
        "max_tokens=1000, tokens: 12",
        "\"input_tokens\":532,\"output_tokens\":17",
        "token_count = 128k",
        "\"token_type\": \"bearer\"",
        "SECRET_FILE=/run/secrets/db",
        "SSH_KEY=~/.ssh/id_ed25519",
        "--token-file ./token",
        "--key ./server.pem",
        "use --password to be asked for it",
        "the flag `--password` and the option --token.",
        "Here's the key: value pairs are kept",
        "The password: it must be long",
        "errors.password = \"Password is required\"",
        "Enter your password: ",
        "password: <your password>",
        "says(\"API_TOKEN=\").says(\"x\")",
        "says(\"  DB_PASSWORD=\").says(\"x\")",
        "printing a secret: `env` does not",
        "password: ********",
        "password: {{ vault_password }}",
        "token: process.env.TOKEN",
        "API_KEY=xxxxxxxxxxxx",
        "AUTHOR=ann, KEYBOARD=us, MONKEY=1",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b",
        "key: 3f786850e387550fdab836ed7e6dc881de23001b",
        "key: 123e4567-e89b-12d3-a456-426614174000",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "Bearer token authentication and Basic authentication",
        "Basic JavaScript, Bearer of bad news",
        "Authorization: the header that holds it",
        "Authorization: Bearer ${TOKEN}",
        "Authorization: Bearer <token>",
        "task-1234567890123456789012345",
        "risk-adjusted, desk-booking-system-2024-edition",
        "npm_config_cache=/x, hf_hub_download",
        "sk-learn and sk-ip",
        "eyJhbGciOiJIUzI1NiJ9",
        "ssh://git@github.com/x",
        "https://ann@h/x",
        "http://localhost:3000/@scope/x",
        "postgres://$USER:$PASSWORD@h/db",
        "postgres://u:${PW}@h/db",
        "postgres://u:<password>@h",
        "git@github.com:x/y.git",
        "docker run -u 1000:1000 img",
        "-----BEGIN CERTIFICATE-----\nMIIBIjANBgkqhkiG9w0BAQ\n-----END CERTIFICATE-----",
        "it looks for \"-----BEGIN RSA PRIVATE KEY-----\" there",
        "at 12:30:45, ratio 16:9, C:\\x, std::io",
        "ghp_ is the prefix, AKIA another, sk-ant-… a third",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "",
    ] {
        assert_eq!((masked(text).as_str(), mask(text).count), (text, 0), "{text}");
    }
}

/// A text in which no secret is, from pieces that stand around secrets.
fn around() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        " ",
        "\n",
        "\"",
        "'",
        "\\\"",
        "\\n",
        "=",
        ": ",
        "`",
        "password",
        "KEY",
        "--token ",
        "://u:",
        "@h",
        "é",
        "→",
        "{",
        "}",
        "[",
        "]",
        "Bearer ",
        "-----BEGIN ",
        "PRIVATE KEY-----",
        "eyJ",
        ".",
        "-",
        "_",
        "sk-",
        "[masked: ",
        "x",
        "value",
        "<",
        ">",
        "export ",
        "|",
        "\r\n",
        "name",
    ]);
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_masked_once(text in prop_oneof![any::<String>(), "\\PC{0,200}", around()]) {
        let once = mask(&text);
        prop_assert_eq!(matches!(once.text, std::borrow::Cow::Borrowed(_)), once.text == text.as_str());
        let again = mask(&once.text);
        prop_assert_eq!(again.text.as_ref(), once.text.as_ref());
        prop_assert_eq!(again.count, 0);
    }

    #[test]
    fn no_token_survives(before in "\\PC{0,30}", after in "\\PC{0,30}", which in 0_usize..50, at in "[ \n\"(,;=]") {
        let tokens = tokens();
        let (token, _) = &tokens[which % tokens.len()];
        let text = format!("{before}{at}{token} {after}");
        let masked = mask(&text).text.into_owned();
        let secret = &token[token.len() - 12..];
        prop_assert!(!masked.contains(secret), "{masked}");
    }

    #[test]
    fn no_value_survives(
        secret in "[A-Za-z0-9]{6}[0-9][a-z][A-Z]{2}",
        name in prop::sample::select(vec!["DB_PASSWORD", "API_KEY", "client_secret", "authToken", "token", "passwd"]),
        form in prop::sample::select(vec![
            "N=V", "export N=V", "N: V", "\"N\": \"V\"", "\"N\":\"V\"", "N = \"V\"", "--N V", "--N=V", "'N': 'V'",
            "\\\"N\\\": \\\"V\\\"", "x N=\"V\" y", "a\\nN=V\\nb", "?N=V&x", "<N>V</N>", "N='V'", "\n  N: V\n",
        ]),
        after in "( [a-z ]{0,20})?",
    ) {
        let text = form.replace('N', name).replace('V', &secret) + &after;
        let masked = mask(&text);
        prop_assert!(!masked.text.contains(&secret), "{text} -> {}", masked.text);
    }
}
