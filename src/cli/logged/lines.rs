//! The lines of files, one after the other, in as much memory as one line takes.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use super::LogError;

/// Longer than any line of ours: what is longer is read as several.
const MAX_LINE: u64 = 1024 * 1024;

/// Calls `each` with every line of these files; `-` is standard input. Ends early when it says so.
pub(super) fn read(files: &[PathBuf], mut each: impl FnMut(&[u8]) -> bool) -> Result<(), LogError> {
    for path in files {
        let unreadable = |source| LogError::Unreadable {
            path: path.clone(),
            source,
        };
        let go_on = if path == Path::new("-") {
            read_all(io::stdin().lock(), &mut each)
        } else {
            File::open(path)
                .and_then(|file| read_all(BufReader::with_capacity(BUFFER, file), &mut each))
        };
        if !go_on.map_err(unreadable)? {
            break;
        }
    }
    Ok(())
}

const BUFFER: usize = 256 * 1024;

fn read_all(mut file: impl BufRead, each: &mut impl FnMut(&[u8]) -> bool) -> io::Result<bool> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut file).take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(true);
        }
        if !each(line.strip_suffix(b"\n").unwrap_or(&line)) {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_also_the_last_and_the_long_ones() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["1", "2"].map(|name| folder.path().join(name));
        std::fs::write(&one, "a\n\nb").unwrap();
        std::fs::write(
            &other,
            format!("{}\nc\n", "x".repeat(MAX_LINE as usize + 1)),
        )
        .unwrap();
        let mut lengths = Vec::new();
        let files = [one.clone(), other];
        read(&files, |line| {
            lengths.push(line.len());
            true
        })
        .unwrap();
        assert_eq!(lengths, [1, 0, 1, MAX_LINE as usize, 1, 1]);
        let mut seen = 0;
        read(&files, |_| {
            seen += 1;
            false
        })
        .unwrap();
        assert_eq!(seen, 1);
        let error = read(&[folder.path().join("none")], |_| true).unwrap_err();
        assert!(error.to_string().contains("none cannot be read"), "{error}");
    }
}
