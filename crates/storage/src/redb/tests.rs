mod crash;
mod damage;
mod disks;
mod early;
mod files;
mod log;
