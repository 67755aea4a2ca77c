//! Kinds of file systems that do not keep what a journal needs.

use std::fmt;

/// Why what was synced may not last on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Weakness {
    /// It is in memory.
    Memory,
    /// It is on another machine, which may have its own idea of what a sync, a lock or a rename is.
    Network,
    /// What it does with a sync is up to another program.
    Userspace,
}

impl Weakness {
    /// What is known of a file system by the number that its kind has on Linux (`f_type` of `statfs`).
    pub(super) fn of_type(number: u64) -> Option<Self> {
        match number {
            // tmpfs, ramfs
            0x0102_1994 | 0x8584_58F6 => Some(Self::Memory),
            // NFS, SMB 1, CIFS, SMB 2 and 3, 9p, Ceph, AFS
            0x6969 | 0x517B | 0xFF53_4D42 | 0xFE53_4D42 | 0x0102_1997 | 0x00C3_6400 | 0x5346_414F => {
                Some(Self::Network)
            }
            // FUSE
            0x6573_5546 => Some(Self::Userspace),
            _ => None,
        }
    }
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "the file system is in memory: all is lost when the machine stops",
            Self::Network => {
                "the file system is on another machine: what is synced there may not survive a power cut"
            }
            Self::Userspace => {
                "the file system is a program (FUSE): whether it keeps what is synced is up to it"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_machines_are_trusted_and_others_are_not() {
        // ext4, XFS, btrfs, ZFS, overlayfs
        for number in [0xEF53, 0x5846_5342, 0x9123_683E, 0x2FC1_2FC1, 0x794C_7630] {
            assert_eq!(Weakness::of_type(number), None, "{number:#x}");
        }
        assert_eq!(Weakness::of_type(0x0102_1994), Some(Weakness::Memory));
        assert_eq!(Weakness::of_type(0x6969), Some(Weakness::Network));
        assert_eq!(Weakness::of_type(0x6573_5546), Some(Weakness::Userspace));
    }
}
