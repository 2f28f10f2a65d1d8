//! Another way to begin: what Frigate has.

use super::{Frame, nothing};
use maud::{Markup, html};
use serde_json::json;

pub fn page() -> Markup {
    let frame = Frame {
        title: "Import from Frigate",
        module: Some("import"),
        navigation: nothing(),
        data: json!({}),
    };
    frame.around(&html! {
        form #import.narrow {
            div.heading {
                h1 { "Import from Frigate" }
                p.lead {
                    "Its state classifications become models here: names, states, crops and pictures. "
                    "Frigate's own files are not changed."
                }
            }
            div.card.fields {
                div.field {
                    label for="config" { "Frigate's configuration" }
                    input #config type="file" accept=".yml,.yaml" required aria-describedby="config-hint";
                    p #config-hint.hint { code { "config.yml" } ". Passwords in it do not get into the workspace." }
                }
                div.field {
                    label for="clips" { "Frigate's folder with pictures" }
                    input #clips type="file" webkitdirectory required aria-describedby="clips-hint";
                    p #clips-hint.hint { "The folder " code { "clips" } ", often " code { "/media/frigate/clips" } ". Only the pictures of classifications are taken." }
                }
                p #problem.problem role="alert" {}
            }
            section #working.card.working hidden aria-live="polite" {
                h2 { "Taking over the pictures" }
                progress #bar max="1" {}
                p #left.hint {}
            }
            div.actions {
                a.button.quiet href="/" { "Cancel" }
                button.button.primary #go { "Import" }
            }
        }
        section #done.narrow hidden tabindex="-1" {
            div.heading { h1 { "Imported" } }
            ul #models.cards {}
            div.card {
                h2 { "What needs a look" }
                ul #notes.advice {}
            }
            div.card {
                h2 { "For the device" }
                p.hint { "The same cameras and classifications for " code { "/etc/ajar/config.toml" } ". It may have passwords in it." }
                pre tabindex="0" { code #device-config {} }
            }
        }
    })
}
