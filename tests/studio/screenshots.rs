//! Pictures of every page.
