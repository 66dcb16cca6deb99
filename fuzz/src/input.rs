//! Bytes of a fuzzer taken apart from the front: what is asked for beyond their end is zero or empty.

pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, b""));
        self.0 = rest;
        *first
    }

    pub fn number(&mut self) -> usize {
        usize::from(self.byte())
    }

    /// One of these; a letter of a seed and a byte that the fuzzer made choose alike.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.number() % from.len()]
    }

    /// As many bytes as the first one says.
    pub fn piece(&mut self) -> &'a [u8] {
        let len = self.number();
        let (piece, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        piece
    }

    /// The bytes up to this one, which is dropped.
    pub fn until(&mut self, end: u8) -> &'a [u8] {
        let at = self.0.iter().position(|b| *b == end).unwrap_or(self.0.len());
        let (before, rest) = self.0.split_at(at);
        self.0 = rest.get(1..).unwrap_or_default();
        before
    }
}
