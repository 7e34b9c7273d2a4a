//! What holds for all records in all orders.

use proptest::prelude::*;

use super::*;

fn any_record() -> impl Strategy<Value = Value> {
    let names = [
        "prompt",
        "prompt:dontAsk",
        "result:a",
        "result:b",
        "text",
        "text:end_turn",
        "bash:a",
        "read:b",
        "question:a",
        "next",
        "system:turn_duration",
        "retry:1e300",
        "interrupted",
        "command",
        "summary",
        "progress",
        "failed",
    ];
    prop::sample::select(names.to_vec()).prop_map(record)
}

proptest! {
    #[test]
    fn no_order_of_records_is_too_strange(
        records in prop::collection::vec((any_record(), 0..3_000_000_u64), 0..40),
        mtime_ms in any::<Option<u64>>(),
        youngest_child_ms in any::<Option<u64>>(),
        now_ms in any::<u64>(),
    ) {
        let records: Vec<Record> = records.into_iter().map(|(record, ago)| at(ago, record)).collect();
        let verdict = summary(&records).verdict(&Facts { now_ms, mtime_ms, youngest_child_ms, has_busy_child: None });
        prop_assert!(!verdict.reason.is_empty());
        prop_assert!(verdict.state != Working || verdict.waiting_since_ms.is_none());
    }

    #[test]
    fn unknown_types_are_never_work(
        types in prop::collection::vec(("[a-z-]{1,12}", "[a-z_]{0,12}"), 0..20),
        now_ms in any::<u64>(),
    ) {
        let known = ["user", "assistant", "system"];
        let records: Vec<Record> = types
            .iter()
            .filter(|(name, _)| !known.contains(&name.as_str()))
            .map(|(name, other)| at(1, json!({"type": name, "subtype": other, "message": {"content": "do it"}})))
            .collect();
        let verdict = summary(&records).verdict(&Facts { now_ms, ..Facts::default() });
        prop_assert_eq!(verdict.state, Unknown);
    }

    /// A look at the end of a file says the same as one at the whole of it, when it says that it is enough.
    #[test]
    fn what_decides_is_not_changed_by_what_was_before(
        records in prop::collection::vec((any_record(), 0..60_000_u64), 0..30),
        cut in 0..30_usize,
    ) {
        let records: Vec<Record> = records.into_iter().map(|(record, ago)| at(ago, record)).collect();
        let end = summary(&records[cut.min(records.len())..]);
        // The mode is set apart: `lacks_something` tells when it is missing.
        if end.decides() && !end.lacks_something() {
            let facts = Facts { now_ms: NOW, ..Facts::default() };
            prop_assert_eq!(end.verdict(&facts), summary(&records).verdict(&facts));
        }
    }
}
