//! The operator's accent colour, made safe to read: for every colour there is a text that stands out on it
//! and a shade of it that stands out on our pages (WCAG 2.2 §1.4.3 and §1.4.11).
//!
//! Nothing here is about taste. The stylesheet uses only the variables made here, never the raw colour
//! where contrast would depend on luck.

use std::fmt;

/// An sRGB colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    red: u8,
    green: u8,
    blue: u8,
}

impl Colour {
    /// From its three channels.
    pub const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self { red, green, blue }
    }

    /// From `#rrggbb`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        // `from_str_radix` would take a sign too.
        if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let value = u32::from_str_radix(digits, 16).ok()?;
        let [_, red, green, blue] = value.to_be_bytes();
        Some(Self { red, green, blue })
    }

    /// WCAG 2.2 contrast ratio, from 1 to 21.
    pub fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// Relative luminance as WCAG 2.2 defines it, from 0 to 1.
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue)
    }

    /// This colour with `percent` of `other` in it.
    fn mixed(self, other: Self, percent: u16) -> Self {
        let mix = |from: u8, to: u8| {
            let sum = u16::from(from) * (100 - percent) + u16::from(to) * percent;
            u8::try_from(sum / 100).expect("a mean of two bytes is a byte")
        };
        Self {
            red: mix(self.red, other.red),
            green: mix(self.green, other.green),
            blue: mix(self.blue, other.blue),
        }
    }

    /// The text colour for this background. One of black and white always has at least 4.58 to 1; softer
    /// inks would fall below 4.5 on mid-tones.
    fn text_on(self) -> Self {
        if self.contrast(WHITE) >= self.contrast(BLACK) {
            WHITE
        } else {
            BLACK
        }
    }

    /// The shade nearest to this colour that keeps `ratio` on every one of `backgrounds`, going towards `ink`.
    fn shade_on(self, backgrounds: &[Self], ink: Self, ratio: f64) -> Self {
        (0..=100)
            .step_by(4)
            .map(|percent| self.mixed(ink, percent))
            .find(|shade| backgrounds.iter().all(|on| shade.contrast(*on) >= ratio))
            .unwrap_or(ink)
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

/// The stylesheet that defines the accent's variables for light and dark: `--accent` with `--on-accent` for
/// text on it, `--accent-strong` while pressed, `--accent-edge` for outlines, `--link` for accent-coloured text.
pub fn stylesheet(accent: Colour) -> String {
    format!(
        ":root{{{}}}\n@media (prefers-color-scheme:dark){{:root{{{}}}}}\n",
        variables(accent, &LIGHT),
        variables(accent, &DARK),
    )
}

fn variables(accent: Colour, scheme: &Scheme) -> String {
    let text = accent.text_on();
    // Away from the text's colour, so that the contrast only grows.
    let strong = accent.mixed(if text == WHITE { BLACK } else { WHITE }, 16);
    let edge = accent.shade_on(&scheme.backgrounds(), scheme.ink, 3.0);
    let link = accent.shade_on(&scheme.backgrounds(), scheme.ink, 4.5);
    format!(
        "--accent:{accent};--on-accent:{text};--accent-strong:{strong};--accent-edge:{edge};--link:{link}"
    )
}

/// The accent of an operator who chose none.
pub const DEFAULT: Colour = Colour::new(0x0f, 0x6b, 0x5c);

const WHITE: Colour = Colour::new(0xff, 0xff, 0xff);
const BLACK: Colour = Colour::new(0, 0, 0);

/// What the accent has to stand out on: `--page`, `--surface` and `--ink` of `app.css`.
struct Scheme {
    page: Colour,
    surface: Colour,
    ink: Colour,
}

impl Scheme {
    const fn backgrounds(&self) -> [Colour; 2] {
        [self.page, self.surface]
    }
}

const LIGHT: Scheme = Scheme {
    page: Colour::new(0xf3, 0xf5, 0xf4),
    surface: WHITE,
    ink: Colour::new(0x16, 0x1b, 0x1a),
};

const DARK: Scheme = Scheme {
    page: Colour::new(0x0d, 0x11, 0x12),
    surface: Colour::new(0x16, 0x1c, 0x1d),
    ink: Colour::new(0xe9, 0xee, 0xed),
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_colour() -> impl Strategy<Value = Colour> {
        any::<[u8; 3]>().prop_map(|[red, green, blue]| Colour::new(red, green, blue))
    }

    #[test]
    fn contrast_is_as_wcag_defines_it() {
        assert!((BLACK.contrast(WHITE) - 21.0).abs() < 1e-9);
        assert!((WHITE.contrast(WHITE) - 1.0).abs() < 1e-9);
        let grey = Colour::parse("#767676").unwrap();
        assert!((grey.contrast(WHITE) - 4.54).abs() < 0.01);
    }

    #[test]
    fn a_colour_reads_back_and_anything_else_is_refused() {
        assert_eq!(Colour::parse("#0f6b5c"), Some(DEFAULT));
        assert_eq!(DEFAULT.to_string(), "#0f6b5c");
        for text in [
            "", "#", "0f6b5c", "#0f6b5", "#0f6b5c0", "#+f6b5c", "#0f6b5é", "red;}",
        ] {
            assert_eq!(Colour::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_schemes_are_those_of_the_stylesheet() {
        let sheet = include_str!("../../static/app.css");
        for scheme in [LIGHT, DARK] {
            for (name, colour) in [
                ("page", scheme.page),
                ("surface", scheme.surface),
                ("ink", scheme.ink),
            ] {
                assert!(
                    sheet.contains(&format!("--{name}: {colour};")),
                    "{name} {colour}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn text_stands_out_on_any_accent(accent in any_colour()) {
            let text = accent.text_on();
            let strong = accent.mixed(if text == WHITE { BLACK } else { WHITE }, 16);
            prop_assert!(accent.contrast(text) >= 4.5);
            prop_assert!(strong.contrast(text) >= 4.5);
        }

        #[test]
        fn any_accent_has_a_shade_that_stands_out_on_the_pages(accent in any_colour()) {
            for scheme in [LIGHT, DARK] {
                for on in scheme.backgrounds() {
                    let link = accent.shade_on(&scheme.backgrounds(), scheme.ink, 4.5);
                    let edge = accent.shade_on(&scheme.backgrounds(), scheme.ink, 3.0);
                    prop_assert!(link.contrast(on) >= 4.5);
                    prop_assert!(edge.contrast(on) >= 3.0);
                }
            }
        }
    }
}
