//! A link as a picture for cameras (ISO/IEC 18004), drawn as one path so that it needs no style of its own.

use qrcode::{Color, EcLevel, QrCode};

/// The light border that scanners need, in modules (ISO/IEC 18004 §9.1).
const QUIET_ZONE: usize = 4;

/// A QR code, ready for an `svg` element whose `viewBox` is [`size`](Self::size) wide and high. Its dark
/// modules must be dark on light whatever the page's colours are: many scanners read nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Width and height in modules, quiet zone included.
    pub size: usize,
    /// The dark modules, as the `d` of a path: letters, digits, spaces and signs alone.
    pub path: String,
}

impl Picture {
    /// `None` when the link is longer than any QR code; ours are far from it.
    pub fn of(link: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(link, EcLevel::M).ok()?;
        let width = code.width();
        let mut path = String::new();
        for (y, row) in code.to_colors().chunks(width).enumerate() {
            let mut x = 0;
            for run in row.chunk_by(|left, right| left == right) {
                if run[0] == Color::Dark {
                    let (left, top, length) = (x + QUIET_ZONE, y + QUIET_ZONE, run.len());
                    path.push_str(&format!("M{left} {top}h{length}v1h-{length}z"));
                }
                x += run.len();
            }
        }
        let size = width + 2 * QUIET_ZONE;
        Some(Self { size, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which modules a path darkens.
    fn drawn(picture: &Picture) -> Vec<bool> {
        let mut modules = vec![false; picture.size * picture.size];
        for run in picture.path.split('M').skip(1) {
            let (left, rest) = run.split_once(' ').unwrap();
            let (top, rest) = rest.split_once('h').unwrap();
            let (length, _) = rest.split_once('v').unwrap();
            let [left, top, length]: [usize; 3] = [left, top, length].map(|n| n.parse().unwrap());
            for x in left..left + length {
                modules[top * picture.size + x] = true;
            }
        }
        modules
    }

    #[test]
    fn a_picture_has_every_module_of_its_code_and_a_quiet_zone() {
        let link = "https://app.example.com/.gatehouse/pair/approve?token=0123456789";
        let picture = Picture::of(link).unwrap();
        let code = QrCode::with_error_correction_level(link, EcLevel::M).unwrap();
        assert_eq!(picture.size, code.width() + 8);
        let drawn = drawn(&picture);
        for y in 0..picture.size {
            for x in 0..picture.size {
                let inside =
                    (4..4 + code.width()).contains(&x) && (4..4 + code.width()).contains(&y);
                let dark = inside && code[(x - 4, y - 4)] == Color::Dark;
                assert_eq!(drawn[y * picture.size + x], dark, "{x} {y}");
            }
        }
    }

    #[test]
    fn a_text_beyond_any_code_has_no_picture() {
        assert_eq!(Picture::of(&"x".repeat(4000)), None);
    }
}
