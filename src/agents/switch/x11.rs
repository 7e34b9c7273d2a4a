//! Which processes the windows of an X server belong to.
//!
//! Asked of the server itself where it has the X-Resource extension: it knows from the kernel who is connected to it,
//! and tells nothing of what is shown from another machine. Else each window's own word is taken, `_NET_WM_PID`.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use x11rb_protocol::connect::Connect;
use x11rb_protocol::protocol::res::{ClientIdMask, ClientIdSpec, QueryClientIdsReply, QueryClientIdsRequest};
use x11rb_protocol::protocol::xproto::{
    AtomEnum, GetPropertyReply, GetPropertyRequest, InternAtomReply, InternAtomRequest, QueryExtensionReply,
    QueryExtensionRequest,
};
use x11rb_protocol::x11_utils::{Request, TryParse};

use super::environment::Environment;
use super::talk::Talk;
use crate::sys::unix;

/// The name of the extension, as its protocol says.
const RESOURCES: &[u8] = b"X-Resource";

/// The first words of every reply and error.
const HEAD: usize = 32;

/// Larger than any reply to what is asked here.
const LARGEST: usize = 16 << 20;

/// The PID that each of `windows` belongs to, as far as that is known, on the display that the first of `environments`
/// with one names.
///
/// # Errors
/// When no environment names a display of this machine, or its server does not answer in time.
pub(super) fn pids<'a>(
    environments: impl Iterator<Item = &'a Environment>,
    windows: &[u32],
) -> io::Result<HashMap<u32, i32>> {
    let mut environments = environments.filter_map(|one| Some((one, one.get("DISPLAY")?.to_str()?)));
    let (environment, display) =
        environments.next().ok_or_else(|| io::Error::other("no DISPLAY says where its X server is"))?;
    let number = number(display)
        .ok_or_else(|| io::Error::other(format!("its display {display:?} is not on this machine")))?;
    let mut server = Server::open(number, authority(environment).as_deref()).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot ask the X server {display}: {error}"))
    })?;
    server.pids(windows)
}

/// The number of a display that is reached by its socket: 1 for `:1`, `:1.0` and `unix:1`.
fn number(display: &str) -> Option<u16> {
    let number = display.strip_prefix("unix").unwrap_or(display).strip_prefix(':')?;
    number.split('.').next()?.parse().ok()
}

/// The file with the keys to displays (Xau(3)).
fn authority(environment: &Environment) -> Option<PathBuf> {
    let home = || Some(Path::new(environment.get("HOME")?).join(".Xauthority"));
    environment.get("XAUTHORITY").map(PathBuf::from).or_else(home)
}

/// A connection to an X server.
struct Server {
    talk: Talk,
    /// The bits of an ID that say which of its client's things it is.
    own_bits: u32,
}

impl Server {
    /// Opens a display of this machine: with each key that may be meant for it, and at last with none.
    fn open(display: u16, authority: Option<&Path>) -> io::Result<Self> {
        let file = authority.and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
        let mut keys = keys(&file, display);
        keys.push((Vec::new(), Vec::new()));
        let mut result = Err(io::ErrorKind::NotFound.into());
        for (name, data) in keys {
            result = Self::connect(display, name, data);
            if result.as_ref().err().is_none_or(|error| error.kind() != io::ErrorKind::PermissionDenied) {
                break;
            }
        }
        result
    }

    fn connect(display: u16, key_name: Vec<u8>, key: Vec<u8>) -> io::Result<Self> {
        let path = PathBuf::from(format!("/tmp/.X11-unix/X{display}"));
        // The server may be root's.
        let mut talk = Talk::to(&path, unix::may_command)?;
        let (mut connect, request) = Connect::with_authorization(key_name, key);
        talk.write_all(&request)?;
        loop {
            match talk.read(connect.buffer())? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read if connect.advance(read) => break,
                _ => {}
            }
        }
        let setup = connect
            .into_setup()
            .map_err(|_| io::Error::new(io::ErrorKind::PermissionDenied, "it does not let this user in"))?;
        Ok(Server { talk, own_bits: setup.resource_id_mask })
    }

    fn pids(&mut self, windows: &[u32]) -> io::Result<HashMap<u32, i32>> {
        let question = QueryExtensionRequest { name: RESOURCES.into() };
        self.send(question, 0)?;
        let extension: Option<QueryExtensionReply> = self.reply()?;
        match extension.filter(|extension| extension.present) {
            Some(extension) => self.clients(windows, extension.major_opcode),
            None => self.properties(windows),
        }
    }

    /// What the server itself knows of the clients that made these windows.
    fn clients(&mut self, windows: &[u32], opcode: u8) -> io::Result<HashMap<u32, i32>> {
        let mask = ClientIdMask::LOCAL_CLIENT_PID;
        let specs: Vec<ClientIdSpec> = windows.iter().map(|&client| ClientIdSpec { client, mask }).collect();
        self.send(QueryClientIdsRequest { specs: specs.into() }, opcode)?;
        let reply: Option<QueryClientIdsReply> = self.reply()?;
        let ids = reply.map(|reply| reply.ids).unwrap_or_default();
        // It answers once for each client, and not in our order.
        let own_bits = self.own_bits;
        let pid_of = |window: u32| {
            let id = ids.iter().find(|id| id.spec.client & !own_bits == window & !own_bits)?;
            i32::try_from(*id.value.first()?).ok()
        };
        Ok(windows.iter().filter_map(|&window| Some((window, pid_of(window)?))).collect())
    }

    /// What these windows say of themselves.
    fn properties(&mut self, windows: &[u32]) -> io::Result<HashMap<u32, i32>> {
        self.send(InternAtomRequest { only_if_exists: true, name: b"_NET_WM_PID".as_slice().into() }, 0)?;
        let Some(atom) = self.reply::<InternAtomReply>()?.map(|reply| reply.atom).filter(|atom| *atom != 0)
        else {
            return Ok(HashMap::new());
        };
        for &window in windows {
            let (property, type_) = (atom, AtomEnum::CARDINAL.into());
            let request =
                GetPropertyRequest { delete: false, window, property, type_, long_offset: 0, long_length: 1 };
            self.send(request, 0)?;
        }
        let mut found = HashMap::new();
        for &window in windows {
            let reply: Option<GetPropertyReply> = self.reply()?;
            let pid = reply.and_then(|reply| reply.value32()?.next());
            found.extend(pid.and_then(|pid| Some((window, i32::try_from(pid).ok()?))));
        }
        Ok(found)
    }

    fn send(&mut self, request: impl Request, opcode: u8) -> io::Result<()> {
        self.talk.write_all(&request.serialize(opcode).0)
    }

    /// The next reply; `None` for an error, such as that of a window which is gone.
    fn reply<T: TryParse>(&mut self) -> io::Result<Option<T>> {
        loop {
            let mut bytes = vec![0; HEAD];
            self.talk.read_exact(&mut bytes)?;
            match bytes[0] {
                0 => return Ok(None),
                1 => {
                    let more = u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize * 4;
                    if more > LARGEST {
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                    bytes.resize(HEAD + more, 0);
                    self.talk.read_exact(&mut bytes[HEAD..])?;
                    let parsed = T::try_parse(&bytes).map_err(|_| io::ErrorKind::InvalidData)?;
                    return Ok(Some(parsed.0));
                }
                // An event that nobody asked for.
                _ => {}
            }
        }
    }
}

/// The keys in the content of an authority file that may be those of a display of this machine: what they are for, and
/// the secret. Entries are a family, and four texts with their length before them, all numbers big endian.
fn keys(mut file: &[u8], display: u16) -> Vec<(Vec<u8>, Vec<u8>)> {
    /// `FamilyLocal` and `FamilyWild` of `Xauth.h`.
    const FAMILIES: [u16; 2] = [256, 65535];
    let mut found = Vec::new();
    while let Some((family, entry)) = number16(&mut file).zip(entry(&mut file)) {
        let [_address, number, name, key] = entry;
        let meant = number.is_empty() || number == display.to_string().as_bytes();
        if FAMILIES.contains(&family) && meant && name == b"MIT-MAGIC-COOKIE-1" {
            found.push((name.to_vec(), key.to_vec()));
        }
    }
    found
}

fn entry<'a>(file: &mut &'a [u8]) -> Option<[&'a [u8]; 4]> {
    Some([text(file)?, text(file)?, text(file)?, text(file)?])
}

fn text<'a>(file: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::from(number16(file)?);
    let (text, rest) = file.split_at_checked(length)?;
    *file = rest;
    Some(text)
}

fn number16(file: &mut &[u8]) -> Option<u16> {
    let (number, rest) = file.split_first_chunk()?;
    *file = rest;
    Some(u16::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_of_this_machine_has_a_number() {
        for (display, expected) in [
            (":0", Some(0)),
            (":1.0", Some(1)),
            ("unix:12", Some(12)),
            ("localhost:10.0", None),
            ("/private/tmp/com.apple.launchd.x/org.xquartz:0", None),
            (":", None),
            ("", None),
        ] {
            assert_eq!(number(display), expected, "{display:?}");
        }
    }

    #[test]
    fn keys_of_other_displays_and_kinds_are_passed_over() {
        let entry = |family: u16, parts: [&str; 4]| {
            let mut bytes = family.to_be_bytes().to_vec();
            for part in parts {
                bytes.extend((part.len() as u16).to_be_bytes());
                bytes.extend(part.as_bytes());
            }
            bytes
        };
        let cookie = "MIT-MAGIC-COOKIE-1";
        let file = [
            entry(256, ["box", "0", cookie, "zero"]),
            entry(256, ["box", "1", cookie, "one"]),
            entry(0, ["\x7f\0\0\x01", "1", cookie, "net"]),
            entry(65535, ["", "", cookie, "any"]),
            entry(256, ["box", "1", "XDM-AUTHORIZATION-1", "xdm"]),
        ]
        .concat();
        let of = |file: &[u8]| {
            keys(file, 1).into_iter().map(|(_, key)| String::from_utf8(key).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(of(&file), ["one", "any"]);
        // What is cut anywhere ends the list and nothing else.
        for length in 0..file.len() {
            assert!(of(&file[..length]).len() <= 2);
        }
    }
}
