//! Reading a container's parts, in whatever order of bytes. A file that ends too early is `UnexpectedEof`, hence
//! [`MediaError::Broken`](crate::MediaError::Broken).

use std::io::{self, BufRead, Seek, SeekFrom, Write};

/// A file that is read from its beginning.
pub(crate) struct Input<'a, R> {
    file: &'a mut R,
    /// Counted here, because a buffered file would ask the system.
    position: u64,
}

impl<'a, R: BufRead + Seek> Input<'a, R> {
    pub(crate) fn from_start(file: &'a mut R) -> io::Result<Self> {
        file.rewind()?;
        Ok(Self { file, position: 0 })
    }

    pub(crate) fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }

    pub(crate) fn byte(&mut self) -> io::Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// The next `length` bytes. For what a format keeps small.
    pub(crate) fn bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_exact(&mut bytes)?;
        self.position += length as u64;
        Ok(bytes)
    }

    pub(crate) fn copy(&mut self, length: u64, to: &mut impl Write) -> io::Result<()> {
        self.pass(length, |bytes| to.write_all(bytes))
    }

    /// Reads over `length` bytes, which must be there: a seek would not notice that they are not.
    pub(crate) fn skip(&mut self, length: u64) -> io::Result<()> {
        self.pass(length, |_| Ok(()))
    }

    /// Hands the next `length` bytes to `see`, piece by piece.
    pub(crate) fn pass(&mut self, length: u64, mut see: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut left = length;
        while left > 0 {
            let buffered = self.file.fill_buf()?;
            if buffered.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let piece = &buffered[..buffered.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
            see(piece)?;
            let seen = piece.len();
            self.file.consume(seen);
            self.position += seen as u64;
            left -= seen as u64;
        }
        Ok(())
    }

    /// Hands everything before the next byte of this value to `see`, and reads over that byte.
    pub(crate) fn pass_until(&mut self, end: u8, mut see: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        loop {
            let buffered = self.file.fill_buf()?;
            if buffered.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let found = buffered.iter().position(|byte| *byte == end);
            see(&buffered[..found.unwrap_or(buffered.len())])?;
            let seen = found.map_or(buffered.len(), |at| at + 1);
            self.file.consume(seen);
            self.position += seen as u64;
            if found.is_some() {
                return Ok(());
            }
        }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Goes back to a position that [`Self::position`] gave.
    pub(crate) fn back_to(&mut self, position: u64) -> io::Result<()> {
        // Within a buffer this moves a pointer, where seeking to a position reads the buffer again.
        match i64::try_from(self.position - position) {
            Ok(distance) => self.file.seek_relative(-distance)?,
            Err(_) => drop(self.file.seek(SeekFrom::Start(position))?),
        }
        self.position = position;
        Ok(())
    }
}
