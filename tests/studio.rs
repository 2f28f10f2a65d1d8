//! The studio as its users meet it: a real browser, a running studio, and a running device.

#[path = "studio/accessible.rs"]
mod accessible;
#[path = "support/ajard.rs"]
mod ajard;
#[path = "studio/assign.rs"]
mod assign;
#[path = "support/browser.rs"]
mod browser;
#[path = "support/cli.rs"]
mod cli;
#[path = "studio/collect.rs"]
mod collect;
#[path = "studio/crop.rs"]
mod crop;
#[path = "studio/define.rs"]
mod define;
#[path = "studio/device.rs"]
mod device;
#[path = "studio/door.rs"]
mod door;
#[path = "support/garage.rs"]
mod garage;
#[path = "support/http_camera.rs"]
mod http_camera;
#[path = "studio/import.rs"]
mod import;
#[path = "studio/improve.rs"]
mod improve;
#[path = "studio/lot.rs"]
mod lot;
#[path = "support/scene.rs"]
mod scene;
#[path = "studio/screenshots.rs"]
mod screenshots;
#[path = "support/studio.rs"]
mod studio;
#[path = "studio/visit.rs"]
mod visit;
#[path = "studio/wizard.rs"]
mod wizard;
