//! The wizard's first step.

use super::Frame;
use super::steps::steps;
use crate::companion::workspace::draft::Draft;
use maud::{Markup, html};
use serde_json::json;

pub fn page(draft: &Draft) -> Markup {
    let data = json!({ "draft": draft });
    let frame = Frame { title: "New model", module: Some("define"), navigation: steps(0, None), data };
    frame.around(&html! {
        form #define.narrow novalidate {
            div.heading {
                h1 { "What shall Ajar tell you?" }
                p.lead { "A door, a gate, a bin, a lamp: anything that is in one of a few states." }
            }
            div.card.fields {
                div.field {
                    label for="title" { "What do you call it?" }
                    input #title type="text" maxlength="80" placeholder="Garage door" autocomplete="off" aria-describedby="title-problem" autofocus;
                    p #title-problem.problem role="alert" {}
                }
                div.field {
                    label for="name" { "Short name" }
                    input #name type="text" maxlength="80" placeholder="garage-door" autocomplete="off" autocapitalize="none" spellcheck="false"
                        aria-describedby="name-hint name-problem";
                    p #name-hint.hint { "Used in files, on MQTT and in the device's configuration. It stays as it is." }
                    p #name-problem.problem role="alert" {}
                }
                fieldset.field aria-describedby="states-hint states-problem" {
                    legend { "Its states" }
                    p #states-hint.hint { "It is always in exactly one of them." }
                    ol #states.state-fields {}
                    p #states-problem.problem role="alert" {}
                    button.button.quiet #add type="button" { "Add a state" }
                }
            }
            div.actions {
                a.button.quiet href="/" { "Later" }
                button.button.primary #next disabled { "Continue" }
            }
        }
    })
}
