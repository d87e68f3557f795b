//! What the system knows of this process, under the names that every exporter uses. Outside of Linux there is nothing.

use std::{fs, path::Path};

use super::exposition::Families;

/// Ticks of `/proc/self/stat` in a second: part of what Linux promises to programs (`USER_HZ`).
const TICKS: f64 = 100.0;

/// Adds what can be had.
///
/// # Errors
/// None in practice: the names are fixed and valid.
pub fn describe(families: &Families) -> prometheus::Result<()> {
    if let Some(seconds) = cpu_seconds(&read("/proc/self/stat")) {
        let name = "process_cpu_seconds_total";
        families.count(name, "Processor time spent, in seconds.", seconds)?;
    }
    if let Some(bytes) = resident_bytes(&read("/proc/self/status")) {
        let name = "process_resident_memory_bytes";
        families.gauge(name, "Memory in use, in bytes.", bytes)?;
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them is this look.
        let open = open.count().saturating_sub(1);
        families.gauge("process_open_fds", "Open file descriptors.", number(open))?;
    }
    if let Some(most) = most_files(&read("/proc/self/limits")) {
        let help = "The most file descriptors that may be open.";
        families.gauge("process_max_fds", help, most)?;
    }
    if let Some(since) = started(&read("/proc/self/stat"), &read("/proc/stat")) {
        let help = "When the process started, in seconds since 1970.";
        families.gauge("process_start_time_seconds", help, since)?;
    }
    Ok(())
}

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(file)).unwrap_or_default()
}

/// A field of `/proc/PID/stat` by its number in proc(5), from 3 on: the second is a name that may hold anything.
fn stat_field(stat: &str, number: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace()
        .nth(number.checked_sub(3)?)?
        .parse()
        .ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((stat_field(stat, 14)? + stat_field(stat, 15)?) / TICKS)
}

fn started(stat: &str, system: &str) -> Option<f64> {
    let booted = system
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?;
    let booted: f64 = booted.trim().parse().ok()?;
    Some(booted + stat_field(stat, 22)? / TICKS)
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024.0)
}

/// `None` also when there is no limit.
fn most_files(limits: &str) -> Option<f64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Exact for everything that is counted in practice.
#[allow(clippy::cast_precision_loss)]
pub fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_the_system_are_read() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 1 0 0 0 250 50 0 0 20 0 5 0 1234 1 1 1";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(started(stat, "cpu 1\nbtime 1000\n"), Some(1012.34));
        let status = "Name:\tx\nVmRSS:\t    2048 kB\n";
        assert_eq!(resident_bytes(status), Some(2_097_152.0));
        let limits = "Limit  Soft\nMax open files            1024   4096   files\n";
        assert_eq!(most_files(limits), Some(1024.0));
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        for text in ["", ")", "1 (x) S", "VmRSS:", "Max open files unlimited"] {
            assert_eq!(cpu_seconds(text), None);
            assert_eq!(started(text, text), None);
            assert_eq!(resident_bytes(text), None);
            assert_eq!(most_files(text), None);
        }
    }
}
