use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;

/// Serves one body of `length` bytes on every path, until it is killed: what the HTTP stack does
/// at best with answers of this size.
pub(crate) fn serve(length: usize) {
    let body = Bytes::from("x".repeat(length));
    let router: Router = Router::new().fallback(move || {
        let body = body.clone();
        async move { ([(CONTENT_TYPE, "application/json")], body) }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("listening on http://{}", listener.local_addr().unwrap());
        axum::serve(listener, router).await.unwrap();
    });
}
