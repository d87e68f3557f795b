//! A phone's camera: reads a QR code off the drawing on a page, as somebody else's decoder understands it.

/// How many pixels of the camera a module fills.
const PIXELS: usize = 4;

/// What the picture says. `size` is the side of the drawing in modules, `path` its dark runs.
pub fn scan(size: usize, path: &str) -> String {
    let mut dark = vec![false; size * size];
    for run in path.split('M').skip(1) {
        // As in `M4 5h7v1h-7z`.
        let numbers: Vec<usize> = run
            .split(|c: char| !c.is_ascii_digit())
            .filter(|text| !text.is_empty())
            .map(|text| text.parse().expect("a number of modules"))
            .collect();
        let [left, top, length, ..] = numbers[..] else {
            panic!("not a run: {run}");
        };
        dark[top * size + left..][..length].fill(true);
    }
    let side = size * PIXELS;
    let mut seen = rqrr::PreparedImage::prepare_from_greyscale(side, side, |x, y| {
        if dark[y / PIXELS * size + x / PIXELS] {
            0
        } else {
            255
        }
    });
    let found = seen.detect_grids();
    let [grid] = &found[..] else {
        panic!("{} QR codes on this page", found.len());
    };
    grid.decode().expect("a readable QR code").1
}
