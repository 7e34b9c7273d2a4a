//! How the values of settings are written.

/// A port; `auto` asks TSM to find one, as no `SERVICE_PORT` does.
pub(super) fn port(text: &str) -> Result<Option<u16>, String> {
    match text.parse() {
        _ if text == "auto" => Ok(None),
        Ok(port) if port > 0 => Ok(Some(port)),
        _ => Err("a port is a number from 1 to 65535".into()),
    }
}

/// A number of things.
pub(super) fn count(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "it takes a whole number".into())
}

/// A time in milliseconds; a bare number is seconds.
pub(super) fn milliseconds(text: &str) -> Result<u64, String> {
    let time = match text.parse() {
        Ok(seconds) => Some(std::time::Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text).ok(),
    };
    let milliseconds = time.and_then(|time| u64::try_from(time.as_millis()).ok());
    milliseconds.ok_or_else(|| "it takes seconds, or a time such as 500ms or 1m".into())
}

/// A size in bytes.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let size: bytesize::ByteSize =
        text.parse().map_err(|_| "it takes bytes, or a size such as 10MiB".to_owned())?;
    Ok(size.as_u64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_have_units_people_write() {
        for (text, expected) in
            [("10", Some(10_000)), ("500ms", Some(500)), ("1m 30s", Some(90_000)), ("x", None), ("-1", None)]
        {
            assert_eq!(milliseconds(text).ok(), expected, "{text}");
        }
        for (text, expected) in
            [("1000", Some(1000)), ("10MiB", Some(10 << 20)), ("2 KB", Some(2000)), ("x", None)]
        {
            assert_eq!(bytes(text).ok(), expected, "{text}");
        }
        for (text, expected) in
            [("80", Some(Some(80))), ("auto", Some(None)), ("0", None), ("65536", None), ("+", None)]
        {
            assert_eq!(port(text).ok(), expected, "{text}");
        }
    }
}
