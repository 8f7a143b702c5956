//! A socket pair by which a node's thread wakes a loop.

use std::io::{self, Write};

#[cfg(unix)]
mod pair {
    use std::io;
    use std::os::fd::IntoRawFd;
    use std::os::unix::net::UnixStream as Stream;

    pub(super) type End = Stream;

    pub(super) fn pair() -> io::Result<(End, End)> {
        Stream::pair()
    }

    pub(super) fn into_descriptor(end: End) -> i64 {
        i64::from(end.into_raw_fd())
    }
}

#[cfg(windows)]
mod pair {
    use std::io;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::os::windows::io::IntoRawSocket;

    pub(super) type End = TcpStream;

    /// Windows has no anonymous pairs; a connection over loopback is one, once it is sure whose it is.
    pub(super) fn pair() -> io::Result<(End, End)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let one = TcpStream::connect(listener.local_addr()?)?;
        let (other, peer) = listener.accept()?;
        if peer != one.local_addr()? {
            return Err(io::Error::other("somebody else connected to the wake-up socket"));
        }
        one.set_nodelay(true)?;
        Ok((one, other))
    }

    pub(super) fn into_descriptor(end: End) -> i64 {
        i64::try_from(end.into_raw_socket()).unwrap_or(-1)
    }
}

/// The end that rings.
pub(crate) struct Bell(pair::End);

/// The end that hears, until the loop takes it.
pub(crate) struct Ear(pair::End);

/// Both ends, non-blocking.
pub(crate) fn pair() -> io::Result<(Bell, Ear)> {
    let (bell, ear) = pair::pair()?;
    bell.set_nonblocking(true)?;
    ear.set_nonblocking(true)?;
    Ok((Bell(bell), Ear(ear)))
}

impl Bell {
    /// Wakes whoever listens.
    pub(crate) fn ring(&self) {
        // A full socket rings already, and one that is closed has nobody to wake.
        let _ = (&self.0).write(&[1]);
    }
}

impl Ear {
    /// Gives the socket away as the number by which the system knows it.
    pub(crate) fn into_descriptor(self) -> i64 {
        pair::into_descriptor(self.0)
    }
}
