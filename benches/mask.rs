//! How fast secrets are masked: `cargo bench --bench mask`, in megabytes a second.

#![expect(clippy::print_stdout, reason = "its result is for who has run it")]

use std::hint::black_box;
use std::time::Instant;

/// What a conversation is made of; one line in eight has a secret.
const LINES: [&str; 8] = [
    "The login fails because the session is looked up before it is written, so I moved the write up.\n",
    "    let session = store.open(&path).map_err(|error| Error::io(\"open\", &path, &error))?;\n",
    "{\"type\":\"tool_result\",\"tool_use_id\":\"toolu_01\",\"content\":\"src/login.rs:12: fn login(user: &User)\"}\n",
    "2026-11-21T05:46:40.007Z INFO server: GET /api/users/42 200 in 12 ms\n",
    "export DATABASE_URL=postgres://app:hunter2hunter2@db.example.com:5432/app API_TOKEN=abcdef0123456789\n",
    "commit 4f0a47a1b3c5d7e9f1a3b5c7d9e1f3a5b7c9d1e3 fix(login): write before the look-up\n",
    "test login::tests::a_session_is_written_first ... ok (0.01s); 12 passed; 0 failed; 0 ignored\n",
    "https://docs.example.com/guide?page=3&sort=name#tokens explains it; see also the chapter on sessions.\n",
];

fn main() {
    let text = LINES.concat().repeat(20_000);
    let megabytes = text.len() as f64 / 1e6;
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            let begin = Instant::now();
            black_box(tsm::capture::mask(black_box(&text)));
            begin.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let speed = megabytes / times[times.len() / 2];
    let verdict = if speed > 100.0 { "met" } else { "NOT met" };
    println!("masking {megabytes:.0} MB: {speed:.0} MB/s (target: 100 MB/s, {verdict})");
}
