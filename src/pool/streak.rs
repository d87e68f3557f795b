//! From single checks to up and down.

/// How the checks of one server went lately.
#[derive(Clone, Copy, Debug)]
pub struct Streak {
    healthy_after: u8,
    unhealthy_after: u8,
    well: bool,
    /// Checks in a row that say otherwise.
    against: u8,
}

impl Streak {
    /// A server that is as it is until checks say otherwise.
    pub const fn new(healthy_after: u8, unhealthy_after: u8, well: bool) -> Self {
        Self {
            healthy_after,
            unhealthy_after,
            well,
            against: 0,
        }
    }

    /// Notes how a check went; what changes by it, if anything does.
    pub const fn note(&mut self, passed: bool) -> Option<bool> {
        if passed == self.well {
            self.against = 0;
            return None;
        }
        self.against = self.against.saturating_add(1);
        let enough = if passed {
            self.healthy_after
        } else {
            self.unhealthy_after
        };
        if self.against < enough {
            return None;
        }
        self.against = 0;
        self.well = passed;
        Some(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_checks_in_a_row_change_anything() {
        for (checks, changes) in [
            ("+++", "   "),
            ("---", "  -"),
            ("--+--+", "      "),
            ("---+-++", "  -   +"),
            ("-----++--+---", "  -   +     -"),
        ] {
            let mut streak = Streak::new(2, 3, true);
            let noted: String = checks
                .chars()
                .map(|check| match streak.note(check == '+') {
                    None => ' ',
                    Some(true) => '+',
                    Some(false) => '-',
                })
                .collect();
            assert_eq!(noted, changes, "{checks}");
        }
    }
}
