//! `[hold]`: sizes that go together.

use std::{ops::RangeInclusive, time::Duration};

use crate::config::{
    HoldLimits,
    file::HoldTable,
    findings::{Finding, Findings},
};

/// One body is in memory at once, three times for a moment while it is sealed.
const MAX_BODY: u64 = 16 * 1024 * 1024;

const LIFESPANS: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(60 * 60);

/// What is kept. Everything is looked at even where nothing is kept: it may be switched on again.
pub(super) fn hold(table: &HoldTable, findings: &mut Findings<'_>) -> Option<Option<HoldLimits>> {
    let mut right = true;
    let max_body = table.max_body.value.bytes();
    let room = table.room.value.bytes();
    if max_body > MAX_BODY {
        findings.error(&table.max_body, Finding::value("at most \"16MiB\""));
        right = false;
    } else if room < max_body {
        let finding = Finding::new("there would be no room for the largest body")
            .expected("at least `max_body`");
        findings.error(&table.room, finding);
        right = false;
    }
    if let Some(share) = &table.room_per_network {
        let share_is_right = (max_body..=room).contains(&share.value.bytes());
        if right && !share_is_right {
            let accepted = "a size from `max_body` to `room`";
            findings.error(share, Finding::value(accepted));
            right = false;
        }
    }
    if !LIFESPANS.contains(&table.lifespan.value.duration()) {
        findings.error(&table.lifespan, Finding::value("\"1m\" to \"1h\""));
        right = false;
    }
    let share = table.room_per_network.as_ref();
    let limits = HoldLimits {
        max_body: usize::try_from(max_body).ok()?,
        lifespan: table.lifespan.value.duration(),
        room,
        room_per_network: share.map_or((room / 4).max(max_body), |share| share.value.bytes()),
    };
    right.then(|| table.enabled.value.then_some(limits))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::{
        HoldLimits,
        compile::fixture::{APP, PARTY, ROUTE, assert_found, config},
    };

    #[test]
    fn a_megabyte_is_kept_for_ten_minutes_unless_something_else_is_said() {
        let kept = HoldLimits {
            max_body: 1 << 20,
            lifespan: Duration::from_mins(10),
            room: 64 << 20,
            room_per_network: 16 << 20,
        };
        assert_eq!(config("").hold, Some(kept));
        assert_eq!(config("hold.enabled = false").hold, None);
        let small = config("hold.room = \"2MiB\"").hold.unwrap();
        assert_eq!(small.room_per_network, 1 << 20);
        let own = config("hold.room_per_network = \"2MiB\"").hold.unwrap();
        assert_eq!(own.room_per_network, 2 << 20);
    }

    #[test]
    fn sizes_that_do_not_go_together_are_refused() {
        for (text, expected) in [
            (
                "max_body = \"17MiB\"",
                "hold.max_body = \"17MiB\": wrong value; expected at most \"16MiB\"",
            ),
            (
                "room = \"512KiB\"",
                "hold.room = \"512KiB\": there would be no room for the largest body; expected at least `max_body`",
            ),
            (
                "room_per_network = \"512KiB\"",
                "hold.room_per_network = \"512KiB\": wrong value; expected a size from `max_body` to `room`",
            ),
            (
                "room_per_network = \"65MiB\"",
                "hold.room_per_network = \"65MiB\": wrong value",
            ),
            (
                "lifespan = \"59s\"",
                "hold.lifespan = \"59s\": wrong value; expected \"1m\" to \"1h\"",
            ),
            (
                "lifespan = \"2h\"\nenabled = false",
                "hold.lifespan = \"2h\": wrong value",
            ),
            ("max_size = \"1MiB\"", "hold.max_size: unknown key"),
        ] {
            assert_found(&format!("[hold]\n{text}\n{PARTY}{APP}{ROUTE}"), expected);
        }
    }
}
