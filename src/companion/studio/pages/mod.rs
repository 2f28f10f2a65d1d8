//! Pages: what is shown, as HTML. What moves on them is in the modules of `assets`.

mod define;
mod home;
mod import;
mod model;
mod steps;
mod verdict;

use super::calls::work;
use super::door::Door;
use super::failure::Failure;
use super::server::Shared;
use super::{Studio, calls};
use crate::companion::workspace::ModelFolder;
use anyhow::Result;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;
use std::sync::Arc;

/// What surrounds every page.
struct Frame<'a> {
    title: &'a str,
    /// The module that makes it move.
    module: Option<&'a str>,
    /// Between the brand and the content: tabs, or the wizard's steps.
    navigation: Markup,
    /// For the module, in `data-page` of the main element.
    data: serde_json::Value,
}

impl Frame<'_> {
    fn around(&self, content: &Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · Ajar" }
                    link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                    link rel="stylesheet" href="/assets/studio.css";
                    @if let Some(module) = self.module {
                        script type="module" src={ "/assets/" (module) ".js" } {}
                    }
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    header.top {
                        div.inner {
                            a.brand href="/" { img src="/assets/icon.svg" alt="" width="28" height="28"; span { "Ajar" } }
                            (self.navigation)
                        }
                    }
                    main #main data-page=(self.data.to_string()) { (content) }
                    div #toasts role="status" aria-live="polite" {}
                }
            }
        }
    }
}

fn nothing() -> Markup {
    html! {}
}

/// A page that says one thing.
pub fn message(title: &str, text: &str) -> Html<String> {
    let frame = Frame { title, module: None, navigation: nothing(), data: serde_json::Value::Null };
    let content = html! {
        div.narrow.message { h1 { (title) } p { (text) } p { a.button href="/" { "To the models" } } }
    };
    Html(frame.around(&content).into_string())
}

async fn page(studio: Shared, build: impl FnOnce(&Studio) -> Result<Markup> + Send + 'static) -> Response {
    match work(studio, build).await {
        Ok(markup) => Html(markup.into_string()).into_response(),
        Err(Failure { status, why, .. }) => (status, message("This does not work", &why)).into_response(),
    }
}

async fn of_model(
    studio: Shared,
    name: String,
    build: fn(&Studio, &ModelFolder) -> Result<Markup>,
) -> Response {
    page(studio, move |studio| build(studio, &studio.workspace.model(&name)?)).await
}

pub async fn home(studio: Shared) -> Response {
    page(studio, home::page).await
}

pub async fn define(studio: Shared) -> Response {
    page(studio, |studio| Ok(define::page(&calls::models::definition(studio.workspace.draft())))).await
}

pub async fn import() -> Html<String> {
    Html(import::page().into_string())
}

pub async fn crop(studio: Shared, Path(model): Path<String>) -> Response {
    of_model(studio, model, steps::crop).await
}

pub async fn examples(studio: Shared, Path(model): Path<String>) -> Response {
    of_model(studio, model, steps::examples).await
}

pub async fn model(studio: Shared, Path(model): Path<String>) -> Response {
    of_model(studio, model, model::overview).await
}

pub async fn recent(studio: Shared, Path(model): Path<String>) -> Response {
    of_model(studio, model, model::recent).await
}

pub async fn dataset(studio: Shared, Path(model): Path<String>) -> Response {
    of_model(studio, model, model::dataset).await
}

fn login_form(wrong: Option<&str>) -> Markup {
    let frame =
        Frame { title: "Password", module: None, navigation: nothing(), data: serde_json::Value::Null };
    frame.around(&html! {
        form.narrow.card method="post" action="/login" {
            h1 { "Password" }
            label for="password" { "Password of this studio" }
            input #password type="password" name="password" autocomplete="current-password" required autofocus
                aria-describedby="wrong";
            p #wrong.problem role="alert" { (wrong.unwrap_or_default()) }
            button.button.primary { "Open" }
        }
    })
}

pub async fn login() -> Html<String> {
    Html(login_form(None).into_string())
}

#[derive(Deserialize)]
pub struct Login {
    password: String,
}

pub async fn enter(State(door): State<Arc<Door>>, Form(Login { password }): Form<Login>) -> Response {
    let (status, why) = match door.is_password(&password).await {
        Some(true) => return door.welcome(),
        Some(false) => (StatusCode::UNAUTHORIZED, "That is not the password."),
        None => (StatusCode::TOO_MANY_REQUESTS, "Too many passwords are being tried. Try again in a moment."),
    };
    (status, Html(login_form(Some(why)).into_string())).into_response()
}
