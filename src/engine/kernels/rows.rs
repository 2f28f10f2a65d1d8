//! The three rows under a depthwise kernel, with a border of one pixel around the picture.

/// The input of a depthwise convolution: rows, columns, channels.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub input: &'a [u8],
    /// One pixel of border.
    pub border: &'a [u8],
    pub side: usize,
    pub channels: usize,
}

/// Three rows from one channel on.
#[derive(Clone, Copy)]
pub(super) struct ThreeRows {
    /// The first column, and the bytes to the next: none where the whole row is border.
    rows: [(*const u8, usize); 3],
    border: *const u8,
    side: usize,
}

impl Rows<'_> {
    /// The rows from `row` on, which counts from the border: row 0 and `side + 1` are border.
    #[inline(always)]
    pub fn three(&self, row: usize, channel: usize) -> ThreeRows {
        let border = self.border[channel..].as_ptr();
        let rows = [row, row + 1, row + 2].map(|row| match row {
            0 => (border, 0),
            row if row > self.side => (border, 0),
            row => (self.input[(row - 1) * self.side * self.channels + channel..].as_ptr(), self.channels),
        });
        ThreeRows { rows, border, side: self.side }
    }
}

impl ThreeRows {
    /// Where the three rows of a column lie; columns count from the border, too, and all beyond the picture are border.
    #[inline(always)]
    pub fn at(&self, column: usize) -> [*const u8; 3] {
        if column == 0 || column > self.side {
            return [self.border; 3];
        }
        // Inside the row, so inside its allocation.
        self.rows.map(|(first, step)| first.wrapping_add((column - 1) * step))
    }
}
