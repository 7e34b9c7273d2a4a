//! Functions as real bash prints them, and the scripts that are made of them.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use proptest::prelude::*;

use super::*;

/// The fields of a shell with these functions.
fn code(functions: &[(&str, &str)]) -> ShellCode {
    let one = |(name, body): &(&str, &str)| format!("-f {name}\0{name} () \n{{ \n    {body}\n}}\n\0");
    let fields: Vec<String> = functions.iter().map(one).collect();
    ShellCode::parse(format!("\0tsm-code\0{}end\0", fields.concat()).as_bytes()).unwrap()
}

fn bash(words: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new("bash")
        .args(words)
        .env_remove("BASH_ENV")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(input).unwrap();
    drop(pipe);
    child.wait_with_output().unwrap()
}

/// What the shell layer hands over of a bash that has read `definitions`.
fn captured(definitions: &str) -> ShellCode {
    let layer = concat!(env!("CARGO_MANIFEST_DIR"), "/shell/tsm.sh");
    let script = format!("source '{layer}'\nshopt -s extglob\n{definitions}\n(_tsm_code)\n");
    let output = bash(&["--norc", "-s"], script.as_bytes());
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    ShellCode::parse(&output.stdout).unwrap()
}

/// What the script of `name` prints, called with `arguments`.
fn run(code: &ShellCode, name: &str, arguments: &[&str]) -> String {
    let script = code.call(name).unwrap().unwrap();
    let words = [&["-s", "--"], arguments].concat();
    let output = bash(&words, &script.text);
    assert!(output.stderr.is_empty(), "{}\n{output:?}", String::from_utf8_lossy(&script.text));
    String::from_utf8(output.stdout).unwrap()
}

fn helpers(code: &ShellCode, name: &str) -> Vec<String> {
    code.call(name).unwrap().unwrap().helpers
}

#[test]
fn functions_come_back_from_bash_and_run_as_they_did() {
    let definitions = r#"
plain() { echo "<$1>" "$#"; }
function keyword { plain "$@"; }
function both() { keyword "$@"; }
a-b.c:d() { echo "odd $1"; }
odd() { a-b.c:d "$1"; }
recursive() { if [[ $1 -gt 0 ]]; then echo "$1"; recursive $(($1 - 1)); fi; }
even() { if [[ $1 == 0 ]]; then echo even; else uneven $(($1 - 1)); fi; }
uneven() { if [[ $1 == 0 ]]; then echo uneven; else even $(($1 - 1)); fi; }
nested() { inner() { echo "inner $1"; }; inner "$1"; }
heredoc() {
    cat <<EOF
}
not_a_function ()
{
    echo $1; }
EOF
    cat <<-'EOF'
	plain () 
	{ 
	$1
	EOF
    # a comment with } and ' and "
    plain behind
}
not_a_function() { echo wrong; }
redirected() { cat; } <<'EOF'
}
other () 
{ 
EOF
subshell() ( x=1; echo "$x" )
patterns() {
    case $1 in
        @(a|b)+(c)) echo matched ;;
        !(x*)) echo "not x" ;&
        *) echo "fell" ;;
    esac
    [[ $1 =~ ^(a|b)c$ ]] && echo "${BASH_REMATCH[1]}"
}
sums() { local i; for ((i = 0; i < $1; i++)); do ((i % 2)) && echo "$((i << 1))"; done; return 0; }
quotes() { echo 'it'"'"'s' "\$1 \"$1\"" $'a\tb' "$(echo "$(plain 'x  y')")" `echo back`; }
arrays() { local -a all=("$@"); printf '<%s>' "${all[@]}" "${#all[@]}" "${all[@]:1:1}" "${1//\//:}"; echo; }
pipes() { { echo 1; echo 2; } | while read -r line; do echo "got $line"; done; (exit 3) || echo "rc $?"; }
coprocess() { coproc CAT { cat; }; echo hi >&"${CAT[1]}"; read -r x <&"${CAT[0]}"; echo "$x"; kill "$CAT_PID"; }
function if { echo "reserved $1"; }
stdin() { local x; read -r x < <(echo procsub); echo "$x" "$(cat <<< here)"; }
"#;
    let code = captured(definitions);
    for (name, arguments) in [
        ("plain", &["a  b", "*", "", "x\ny"][..]),
        ("keyword", &["1"]),
        ("both", &["1", "2"]),
        ("a-b.c:d", &["x"]),
        ("odd", &["x"]),
        ("recursive", &["3"]),
        ("even", &["3"]),
        ("nested", &["x"]),
        ("heredoc", &["'q'"]),
        ("redirected", &[]),
        ("subshell", &[]),
        ("patterns", &["acc"]),
        ("patterns", &["bc"]),
        ("patterns", &["y"]),
        ("sums", &["6"]),
        ("quotes", &["*"]),
        ("arrays", &["a b", "c/d"]),
        ("pipes", &[]),
        ("coprocess", &[]),
        ("if", &["x"]),
        ("stdin", &[]),
    ] {
        let call = format!("shopt -s extglob\n{definitions}\n'{name}' \"$@\"\n");
        let direct = bash(&[&["-s", "--"], arguments].concat(), call.as_bytes());
        let direct = String::from_utf8(direct.stdout).unwrap();
        assert!(!direct.is_empty());
        assert_eq!(run(&code, name, arguments), direct, "{name} {arguments:?}");
    }
    assert_eq!(helpers(&code, "both"), ["keyword", "plain"]);
    assert_eq!(helpers(&code, "odd"), ["a-b.c:d"]);
    // It is a word of that one, though no call.
    assert_eq!(helpers(&code, "even"), ["if", "uneven"]);
    assert_eq!(helpers(&code, "plain"), [""; 0]);
}

#[test]
fn what_a_function_may_call_comes_with_it() {
    let code = code(&[
        ("deploy", ""),
        ("run_all", ""),
        ("test_all", ""),
        ("cmd_up", ""),
        ("cmd_down", "deploy"),
        ("a-b", ""),
        ("b", ""),
        ("größe", ""),
        ("x:y", ""),
    ]);
    for (body, expected) in [
        ("echo", &[][..]),
        ("deploy", &["deploy"]),
        ("trap 'deploy; exit' EXIT", &["deploy"]),
        ("eval \"deploy\"", &["deploy"]),
        ("x=`deploy`", &["deploy"]),
        ("if deploy;then :;fi", &["deploy"]),
        ("deployed; redeploy", &[]),
        ("\\deploy", &["deploy"]),
        ("a-b", &["a-b", "b"]),
        ("x:y&", &["x:y"]),
        ("größe größer", &["größe"]),
        ("\"cmd_$1\"", &["cmd_down", "cmd_up", "deploy"]),
        ("cmd_\"$1\"", &["cmd_down", "cmd_up", "deploy"]),
        ("cmd_`which`", &["cmd_down", "cmd_up", "deploy"]),
        ("\"${verb}_all\"", &["run_all", "test_all"]),
        ("\"$verb\"_all \"$1_all\"", &["run_all", "test_all"]),
        ("$(verb)_all", &["run_all", "test_all"]),
        ("echo $HOME/x --cmd=$1 c$1", &[]),
    ] {
        let mut code = code.clone();
        let text = format!("main () \n{{ \n    {body}\n}}\n").into_bytes();
        code.functions.insert(b"main".to_vec(), Function { text, exported: false });
        assert_eq!(helpers(&code, "main"), *expected, "{body}");
    }
}

#[test]
fn a_line_is_run_where_it_calls_a_function() {
    let mut code = code(&[("build", "echo built"), ("serve", "build; echo serving \"$@\"")]);
    let script = code.line("cd / && serve", None, false).unwrap().unwrap();
    assert_eq!((script.name.as_str(), script.helpers), ("serve", vec!["build".to_owned()]));
    assert!(script.text.ends_with(b"\ncd / && serve\n"));
    let script = code.line("serve 2>&1", None, true).unwrap().unwrap();
    let output = bash(&["-s", "--", "a  b"], &script.text);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "built\nserving a  b\n");
    assert_eq!(code.line("cd / && npm start", None, false).unwrap(), None);

    // Aliases count in what came of an alias, and only there.
    code.aliases.insert("all".into(), "cd /; greet 'x  y'; greet".into());
    code.aliases.insert("greet".into(), "echo hello".into());
    code.aliases.insert("unused".into(), "false".into());
    let line = "cd /; greet 'x  y'; greet";
    assert_eq!(code.line(line, None, true).unwrap(), None);
    let script = code.line(line, Some("all 1"), true).unwrap().unwrap();
    let text = String::from_utf8(script.text.clone()).unwrap();
    assert!(!text.contains("unused"), "{text}");
    let output = bash(&["-s", "--", "2"], &script.text);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "hello x  y\nhello 1 2\n");
}

#[test]
fn what_is_exported_is_so_again() {
    let code =
        captured("greet() { echo \"hello $1\"; }\nmain() { bash -c 'greet \"$0\"' you; }\nexport -f greet");
    assert_eq!(run(&code, "main", &[]), "hello you\n");
}

#[test]
fn tsms_own_functions_are_left_out_and_aliases_come_along() {
    let code = captured("mine() { tsm list; }\nalias ll='ls -l' q=\"it's\" n=$'a\\nb'");
    assert!(code.has("mine") && !code.has("tsm") && !code.has("_tsm_code") && !code.has("tetra_tsm_list"));
    assert!(!code.has("other"));
    let aliases: Vec<(&str, &str)> =
        code.aliases.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(aliases, [("ll", "ls -l"), ("n", "a\nb"), ("q", "it's")]);
}

#[test]
fn a_text_that_is_not_utf8_stays_what_it_is() {
    let mut fields = b"\0tsm-code\0-f f\0f () { printf \"\xff\"; }\n\0end\0".to_vec();
    let script = ShellCode::parse(&fields).unwrap().call("f").unwrap().unwrap();
    assert!(script.text.windows(1).any(|byte| byte == b"\xff"));
    fields.truncate(fields.len() - 4);
    assert!(ShellCode::parse(&fields).is_err());
}

#[test]
fn what_a_trap_printed_before_is_skipped_and_half_of_it_is_an_error() {
    let whole = b"noise\nand more\0tsm-code\0-f f\0f () {\n}\n\0alias a\0b\0end\0";
    assert!(ShellCode::parse(whole).unwrap().has("f"));
    for length in 0..whole.len() - 4 {
        let error = ShellCode::parse(&whole[..length]).unwrap_err();
        assert_eq!(error.message(), "the functions of the calling shell did not arrive whole", "{length}");
    }
}

#[test]
fn a_text_that_is_too_large_is_an_error() {
    let large = "x".repeat(LIMIT);
    let code = code(&[("large", &large), ("caller", "large"), ("small", "")]);
    for name in ["large", "caller"] {
        let error = code.call(name).unwrap_err();
        assert!(
            error.message().starts_with(&format!("the function {name} and what it may call are 10")),
            "{error}"
        );
        assert!(error.hint_text().is_some());
    }
    assert!(code.call("small").unwrap().is_some());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60), cut in 0..40_usize) {
        let mut fields = b"\0tsm-code\0-f f\0f () { g; }\n\0".to_vec();
        fields.extend(bytes);
        fields.extend_from_slice(b"\0end\0");
        fields.truncate(fields.len() - cut.min(fields.len()));
        if let Ok(code) = ShellCode::parse(&fields) {
            prop_assert!(code.call("f").unwrap().is_some());
        }
    }

    #[test]
    fn a_function_that_is_a_word_of_another_is_never_missed(
        name in "[a-z_][a-z0-9_:.-]{0,8}",
        before in "(\\PC{0,8}[ ;&|('\"`=\\n])?",
        behind in "([ ;&|)'\"`\\n]\\PC{0,8})?",
    ) {
        prop_assume!(name != "main" && name != "tsm" && !name.starts_with("_tsm_"));
        let code = code(&[("main", &format!("{before}{name}{behind}")), (&name, "")]);
        prop_assert_eq!(helpers(&code, "main"), vec![name]);
    }

    #[test]
    fn a_quoted_word_is_that_word(word in "[^\\x00]{0,20}") {
        prop_assert_eq!(shell_words::split(&quote(&word)).unwrap(), vec![word]);
    }
}
