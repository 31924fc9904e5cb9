//! The sign-in as a whole: the cache first, then a refresh, then the person; and what is saved whatever happens.

mod accounts;
mod grants;
mod keys;
mod microsoft;
mod openid;
mod printable;
mod silent;
mod user_info;
mod whole;
