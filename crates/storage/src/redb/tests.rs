mod checkpoint;
mod crash;
mod damage;
mod disks;
mod files;
mod log;
