//! Owns the QR code: an address drawn in half blocks, for a camera.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// The background that a QR code is drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ground {
    /// Black on white by escape sequences: correct on every terminal.
    Painted,
    /// The terminal shows light text on dark.
    Dark,
    /// The terminal shows dark text on light.
    Light,
}

/// A QR code and its size.
pub(super) struct Picture {
    pub(super) text: String,
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// `None`: the address is too long for a QR code.
pub(super) fn drawn(address: &str, ground: Ground) -> Option<Picture> {
    // A screen is never dirty or creased: the least error correction gives the largest modules.
    let code = QrCode::with_error_correction_level(address, EcLevel::L).ok()?;
    let (dark, light) = match ground {
        Ground::Dark => (Dense1x2::Light, Dense1x2::Dark),
        Ground::Painted | Ground::Light => (Dense1x2::Dark, Dense1x2::Light),
    };
    let blocks = code.render().dark_color(dark).light_color(light).quiet_zone(true).build();
    let (columns, rows) = (blocks.lines().next()?.chars().count(), blocks.lines().count());
    let line = |line: &str| match ground {
        Ground::Painted => format!("\u{1b}[30;47m{line}\u{1b}[0m\n"),
        Ground::Dark | Ground::Light => format!("{line}\n"),
    };
    Some(Picture { text: blocks.lines().map(line).collect(), columns, rows })
}

#[cfg(test)]
mod tests {
    use super::*;
    use vt100::Color;

    /// What a camera sees of these rows: one pixel a half block, 255 where it is light. `light_letters` says how the
    /// terminal shows what has no colour of its own.
    fn seen(picture: &Picture, light_letters: bool) -> (usize, usize, Vec<Vec<u8>>) {
        let (rows, columns) =
            (u16::try_from(picture.rows).unwrap_or(0) + 1, u16::try_from(picture.columns).unwrap_or(0));
        let mut terminal = vt100::Parser::new(rows, columns, 0);
        terminal.process(picture.text.replace('\n', "\r\n").as_bytes());
        let mut pixels = vec![];
        for row in 0..rows - 1 {
            let half = |top: bool| -> Vec<u8> {
                let shade = |color, letters: bool| match color {
                    Color::Default => u8::from(letters == light_letters) * 255,
                    Color::Idx(7) => 255,
                    Color::Idx(_) | Color::Rgb(..) => 0,
                };
                let pixel = |column| {
                    let cell = terminal.screen().cell(row, column);
                    let lit = cell.is_some_and(|cell| match cell.contents() {
                        "\u{2588}" => true,
                        "\u{2580}" => top,
                        "\u{2584}" => !top,
                        _ => false,
                    });
                    cell.map_or(0, |cell| if lit { shade(cell.fgcolor(), true) } else { shade(cell.bgcolor(), false) })
                };
                (0..columns).map(pixel).collect()
            };
            pixels.push(half(true));
            pixels.push(half(false));
        }
        (picture.columns, pixels.len(), pixels)
    }

    fn decoded(picture: &Picture, light_letters: bool) -> Option<String> {
        let (width, height, pixels) = seen(picture, light_letters);
        // A margin as dark as the terminal around it, so that only the picture's own quiet zone counts; three pixels a
        // module.
        let around = if light_letters { 0 } else { 255 };
        let mut image = rqrr::PreparedImage::prepare_from_greyscale((width + 8) * 3, (height + 8) * 3, |x, y| {
            let at = |place: usize| (place / 3).checked_sub(4);
            at(x).zip(at(y)).and_then(|(x, y)| pixels.get(y)?.get(x)).copied().unwrap_or(around)
        });
        let grids = image.detect_grids();
        assert!(grids.len() <= 1);
        grids.first().and_then(|grid| grid.decode().ok()).map(|(_, text)| text)
    }

    const LONGEST: usize = 2_048;

    fn addresses() -> Vec<String> {
        let query = "a1-B_".repeat(LONGEST / 5);
        [20, 36, 64, 100, 255, 700, LONGEST]
            .map(|length| format!("https://as.example/?{query}").chars().take(length).collect())
            .to_vec()
    }

    // Whatever the colours of the terminal are.
    #[test]
    fn e11_a_camera_reads_the_address() {
        let grounds = [(Ground::Painted, true), (Ground::Painted, false), (Ground::Dark, true), (Ground::Light, false)];
        for address in addresses() {
            // The colours do not depend on the size, so the large codes, which take long to read, have one ground each.
            let all = if address.len() > 100 { 1 } else { grounds.len() };
            for (ground, light_letters) in grounds.into_iter().cycle().skip(address.len()).take(all) {
                let picture = drawn(&address, ground);
                let read = picture.and_then(|picture| decoded(&picture, light_letters));
                assert_eq!(read.as_deref(), Some(&*address), "{ground:?}, light letters: {light_letters}");
            }
        }
    }

    // ISO/IEC 18004 asks for a quiet zone of four modules, also on a dark terminal.
    #[test]
    fn there_is_a_quiet_zone() {
        let picture = drawn("https://as.example/device", Ground::Dark);
        let Some((width, height, pixels)) = picture.map(|picture| seen(&picture, true)) else { unreachable!() };
        for (y, row) in pixels.iter().enumerate() {
            for (x, pixel) in row.iter().enumerate() {
                // Half of the last row is unused: the number of modules is odd.
                let inside = (4..width - 4).contains(&x) && (4..height - 5).contains(&y);
                assert!(inside || *pixel == 255 || y == height - 1, "{x} {y}");
            }
        }
    }

    #[test]
    fn an_address_that_is_too_long_is_not_drawn() {
        assert!(drawn(&"x".repeat(2_954), Ground::Dark).is_none());
    }
}
