//! The server: which path is what.

use super::calls::{devices, import, label, models, pictures, recent, stills, train};
use super::door::{self, Door};
use super::failure::Failure;
use super::{Studio, assets, pages};
use anyhow::Result;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post, put};
use std::net::TcpListener;
use std::sync::Arc;

/// Most bytes of a call.
const MAX_CALL: usize = 256 << 10;
/// Of whoever is not let in yet.
const MAX_LOGIN: usize = 4 << 10;
/// Most bytes of a picture that is uploaded.
const MAX_PICTURE: usize = 32 << 20;

pub type Shared = axum::extract::State<Arc<Studio>>;

pub fn serve(listener: TcpListener, studio: Studio, door: Door) -> Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        axum::serve(listener, router(studio, door)).await
    })?;
    Ok(())
}

fn router(studio: Studio, door: Door) -> Router {
    let door = Arc::new(door);
    let login = Router::new()
        .route("/login", get(pages::login).post(pages::enter))
        .layer(DefaultBodyLimit::max(MAX_LOGIN))
        .with_state(door.clone());
    Router::new()
        .route("/", get(pages::home))
        .route("/new", get(pages::define))
        .route("/import", get(pages::import))
        .route("/models/{model}", get(pages::model))
        .route("/models/{model}/crop", get(pages::crop))
        .route("/models/{model}/examples", get(pages::examples))
        .route("/models/{model}/recent", get(pages::recent))
        .route("/models/{model}/dataset", get(pages::dataset))
        .route("/assets/{name}", get(assets::get))
        .nest("/api", calls())
        .fallback(async || (StatusCode::NOT_FOUND, pages::message("Not here", "There is no such page.")))
        .layer(DefaultBodyLimit::max(MAX_CALL))
        .with_state(Arc::new(studio))
        .merge(login)
        .layer(from_fn_with_state(door, door::guard))
}

fn calls() -> Router<Arc<Studio>> {
    let upload = post(pictures::upload).layer(DefaultBodyLimit::max(MAX_PICTURE));
    Router::new()
        .route("/draft", put(models::keep_draft).delete(models::drop_draft))
        .route("/models", post(models::create))
        .route("/undo", post(models::undo))
        .route("/status", get(devices::status))
        .route("/models/{model}", delete(models::remove))
        .route("/models/{model}/states", post(models::add_state))
        .route("/models/{model}/states/rename", post(models::rename_state))
        .route("/models/{model}/states/remove", post(models::remove_state))
        .route("/models/{model}/cameras", get(stills::cameras))
        .route("/models/{model}/stills/{camera}", get(stills::still))
        .route("/models/{model}/preview/{camera}", get(stills::preview))
        .route("/models/{model}/crops/{camera}", put(models::set_crop).delete(models::forget_crop))
        .route("/models/{model}/pictures", get(pictures::list).merge(upload))
        .route("/models/{model}/pictures/{id}/crop.jpg", get(pictures::crop))
        .route("/models/{model}/pictures/{id}/frame", get(pictures::frame))
        .route("/models/{model}/take/{camera}", post(pictures::take))
        .route("/models/{model}/labels", post(label::label))
        .route("/models/{model}/relabel", post(label::relabel))
        .route("/models/{model}/delete", post(label::delete))
        .route("/models/{model}/undo", post(label::undo))
        .route("/models/{model}/collect", post(train::collect))
        .route("/models/{model}/train", post(train::train))
        .route("/models/{model}/progress", get(train::progress))
        .route("/models/{model}/events", get(train::events))
        .route("/models/{model}/version", put(train::choose))
        .route("/models/{model}/try/{camera}", get(train::try_it))
        .route("/models/{model}/recent", get(recent::list))
        .route("/models/{model}/recent/worth", get(recent::worth))
        .route("/models/{model}/recent/label", post(recent::label))
        .route("/models/{model}/recent/hide", post(recent::hide))
        .route("/models/{model}/recent/{device}/{id}/crop.jpg", get(recent::picture))
        .route("/models/{model}/sign", post(devices::sign))
        .route("/models/{model}/deploy", post(devices::deploy))
        .route("/models/{model}/rollback", post(devices::roll_back))
        .route("/import", post(import::begin))
        .route("/import/{id}", post(import::finish))
        .route("/import/{id}/picture", put(import::picture).layer(DefaultBodyLimit::max(MAX_PICTURE)))
        .route("/key", post(devices::make_key))
        .route("/key.pub", get(devices::public_key))
        .fallback(async || Failure::new(StatusCode::NOT_FOUND, "there is no such call"))
}
