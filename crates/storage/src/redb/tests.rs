mod crash;
mod damage;
mod files;
