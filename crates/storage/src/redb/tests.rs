mod crash;
mod damage;
mod disk;
mod files;
