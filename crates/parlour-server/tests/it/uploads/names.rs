//! A hundred names of files that were made to do harm: none leaves its place, each comes back safe.

use super::{PDF, ann_and_bob, newest_file, pdf, stored, url};
use parlour_testkit::{Form, both_databases};
use std::collections::BTreeSet;

/// Names as raw bytes of a form; browsers write no other way than UTF-8, others do.
fn hostile_names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        // Ways out of a folder.
        "../../../../etc/passwd",
        "..\\..\\..\\windows\\win.ini",
        "/etc/passwd",
        "C:\\boot.ini",
        "c:/boot.ini",
        "\\\\host\\share\\x",
        "..",
        ".",
        "...",
        "....//....//x",
        "..%2f..%2fx",
        "%2e%2e/%2e%2e/x",
        "..%c0%af..%c0%afx",
        "..%5cx",
        "file:///etc/passwd",
        "~/.ssh/authorized_keys",
        "~root",
        "x/../../y",
        "x/",
        "x\\",
        "/",
        "\\",
        "//",
        "a/b/c/d/e",
        "./x",
        ".\\x",
        ".htaccess",
        ".git/config",
        "parlour.db",
        "jwt.secret",
        "../parlour.db",
        "../jwt.secret",
        "../spool/x",
        "../files/ab/x",
        // Devices and streams of Windows.
        "CON",
        "nul",
        "COM1.txt",
        "aux.pdf",
        "LPT9",
        "x.pdf::$DATA",
        "x:y",
        "CLOCK$",
        // Markup.
        "<script>alert(1)</script>.pdf",
        "\"><img src=x onerror=alert(1)>.pdf",
        "x' onmouseover='alert(1)",
        "<svg/onload=alert(1)>",
        "&lt;b&gt;.pdf",
        "&#60;b&#62;",
        "javascript:alert(1)",
        "data:text/html,<b>",
        "{{7*7}}",
        "${7*7}",
        "<%= 7*7 %>",
        "]]>x",
        "<!--x",
        // Headers.
        "x.pdf\r\nSet-Cookie: a=b",
        "x\r\n\r\n<html>",
        "x\nX-Bad: 1",
        "x\ry",
        "x.pdf; filename=y.html",
        "x\"; filename=\"y.html",
        "x\\\"y",
        "x.pdf\"; filename*=UTF-8''y.html",
        "filename*=utf-8''x",
        "a;b;c",
        "a,b",
        "a=b",
        "'",
        "\"",
        "\"\"",
        "\\",
        "\\\\\"",
        "x'y'z",
        // Control characters and tricks with direction and width.
        "x\0.pdf",
        "\0",
        "x\u{1}\u{2}\u{7f}.pdf",
        "x\u{9}y",
        "x\u{1b}[31my",
        "gpj.\u{202e}exe",
        "\u{202a}x\u{202c}",
        "\u{2066}x\u{2069}",
        "\u{feff}x.pdf",
        "\u{200b}",
        "x\u{200b}y",
        "\u{2028}x\u{2029}",
        "\u{85}x",
        "．．／．．／x",
        "∕etc∕passwd",
        "ｘ．ｈｔｍｌ",
        // Other scripts, long ones, none at all.
        "отчёт за год.pdf",
        "報告書.pdf",
        "تقرير.pdf",
        "דוח.pdf",
        "🙂🙃.pdf",
        "é.pdf",
        "e\u{301}.pdf",
        "\u{1f468}\u{200d}\u{1f469}",
        "%41%42.pdf",
        "%",
        "%zz",
        "%00",
        "100% sure.pdf",
        "",
        " ",
        "   x   ",
        "x ",
        "x.",
        "x...",
        "-rf",
        "--help",
        "| rm -rf /",
        "`id`",
        "$(id)",
        "; ls",
        "undefined",
        "null",
        "file",
        "*",
        "?",
        "x?y*z",
    ]
    .iter()
    .map(|name| name.as_bytes().to_vec())
    .collect();
    names.extend([
        vec![b'a'; 300],
        vec![b'.'; 4_000],
        [&"ü".repeat(2_000).into_bytes()[..], b".pdf"].concat(),
        "\u{301}".repeat(500).into_bytes(),
    ]);
    // No UTF-8.
    names.extend([
        b"x\xff.pdf".to_vec(),
        b"\xc0\xae\xc0\xae/x".to_vec(),
        b"\xed\xa0\x80".to_vec(),
        b"\xe9t\xe9.pdf".to_vec(),
    ]);
    names
}

/// A form with this name as it stands, but for what would end the quotes.
fn form(name: &[u8], bytes: &[u8], as_field: bool) -> Vec<u8> {
    const CUT: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW0";
    let mut body = Vec::new();
    if as_field {
        body.extend(format!("--{CUT}\r\nContent-Disposition: form-data; name=\"filename\"\r\n\r\n").bytes());
        body.extend(name);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{CUT}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"").bytes());
    let quoted = name.iter().flat_map(|byte| match byte {
        b'"' => b"%22".to_vec(),
        b'\r' => b"%0D".to_vec(),
        b'\n' => b"%0A".to_vec(),
        other => vec![*other],
    });
    if !as_field {
        body.extend(quoted);
    }
    body.extend(format!("\"\r\nContent-Type: {PDF}\r\n\r\n").bytes());
    body.extend(bytes);
    body.extend(format!("\r\n--{CUT}--\r\n").bytes());
    body
}

/// Asserts that a name can be shown, saved under and put into a header.
#[track_caller]
fn assert_safe(name: &str, about: &str) {
    assert!(!name.is_empty() && name.len() <= 1_024, "{about}: {name:?}");
    assert!(!name.contains(['/', '\\', '\0', '\r', '\n']) && !name.chars().any(char::is_control), "{about}: {name:?}");
    assert!(name != "." && name != "..", "{about}: {name:?}");
    let turns_text_round = |character| matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!name.contains(turns_text_round), "{about}: {name:?}");
}

#[both_databases]
async fn no_name_leaves_its_place_and_each_comes_back_safe() {
    let (server, ann, bob) = ann_and_bob().await;
    let names = hostile_names();
    assert!(names.len() >= 100, "{}", names.len());
    let outside: BTreeSet<_> = super::files_below(server.data_dir().parent().unwrap()).into_iter().collect();
    let bytes = pdf(200);
    for (number, name) in names.iter().enumerate() {
        let about = String::from_utf8_lossy(name).chars().take(60).collect::<String>();
        let as_field = number % 3 == 0;
        let answer = ann.post_raw("/api/v2/pm/upload/", &Form::content_type(), form(name, &bytes, as_field)).await;
        if answer.status == 400 {
            // A field that is no UTF-8, or a header with bytes that no header has.
            crate::bad_input::assert_error_shape(&answer);
            assert!(as_field || name.iter().any(u8::is_ascii_control), "{about}: {}", answer.text);
            continue;
        }
        let uuid = url(&answer.expect(200), "file_uuid").to_owned();
        ann.send_file(&bob, &uuid).await;
        let file = newest_file(&bob, &ann).await;
        let shown = file["filename"].as_str().unwrap();
        assert_safe(shown, &about);
        let download = bob.download(url(&file, "url")).await;
        assert_eq!(download.expect(200), bytes, "{about}");
        let disposition = download.header("content-disposition");
        assert_one_name(disposition, shown, &about);
        assert!(!download.headers.contains_key("set-cookie") && !download.headers.contains_key("x-bad"), "{about}");
        let headline = bob.inbox().await["results"][0]["headline"].as_str().unwrap().to_owned();
        assert!(!headline.contains(['<', '>', '"']), "{about}: {headline}");
    }
    // Under `files` alone, and under names of the server's own.
    let files = server.data_dir().join("files");
    for path in stored(&server) {
        let name = path.strip_prefix(&files).unwrap_or_else(|_| panic!("{} is out of place", path.display()));
        let name = name.to_str().unwrap();
        assert!(name.bytes().all(|byte| byte.is_ascii_hexdigit() || b"-/".contains(&byte)), "{name}");
    }
    let strange: Vec<_> = super::files_below(server.data_dir().parent().unwrap())
        .into_iter()
        .filter(|path| !path.starts_with(&files) && !outside.contains(path))
        .filter(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("parlour.db")))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}

/// Asserts that a header has one name in ASCII and the same in full, and nothing else.
#[track_caller]
fn assert_one_name(disposition: &str, shown: &str, about: &str) {
    let (kind, rest) = disposition.split_once("; filename=\"").unwrap_or_else(|| panic!("{about}: {disposition}"));
    assert!(["inline", "attachment"].contains(&kind), "{about}: {disposition}");
    let (plain, full) = rest.split_once("\"; filename*=UTF-8''").unwrap_or_else(|| panic!("{about}: {disposition}"));
    assert!(
        plain.bytes().all(|byte| (b' '..=b'~').contains(&byte) && !b"\"\\%/".contains(&byte)),
        "{about}: {disposition}"
    );
    assert!(
        full.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~%".contains(&byte)),
        "{about}: {disposition}"
    );
    let decoded = percent_encoding::percent_decode_str(full).decode_utf8().unwrap();
    assert_eq!(decoded, shown, "{about}");
}

/// What ordinary people name their files stays as it is.
#[both_databases]
async fn an_ordinary_name_comes_back_as_it_was_given() {
    let (_server, ann, bob) = ann_and_bob().await;
    for name in [
        "plan.pdf",
        "Plan für 2026 (neu).pdf",
        "報告書.pdf",
        "a.b.c.pdf",
        "O'Brien & sons, 100%.pdf",
        "x_y-z+w=v.pdf",
        "🙂.pdf",
    ] {
        let uuid = ann.upload(name, PDF, &pdf(50)).await;
        assert_eq!(ann.send_file(&bob, &uuid).await["file"]["filename"], name);
    }
}
