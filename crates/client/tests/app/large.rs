//! A transaction that is much longer than what fits into a message.

use bailiwick_client::{View, WriteError};

use crate::service::Service;
use crate::stock::{PARTITION, download, schema, upload, user};

/// Some 20 MB, unless one asks for more: servers take 18 MiB in a message.
const OBJECTS: i64 = 200;

/// What cannot be compressed would take longer to make than to send; but no two are equal.
fn text(id: i64, len: usize) -> String {
    let mut text = format!("{id} ").repeat(len / 2);
    text.truncate(len);
    text
}

#[tokio::test]
async fn a_transaction_longer_than_a_message_arrives() {
    let megabytes = std::env::var("LARGE_TRANSACTION_MB").map_or(20, |text| text.parse().unwrap());
    let len = megabytes * 1_000_000 / usize::try_from(OBJECTS).unwrap();
    let mut server = Service::start_on_disk().await;
    let (one, two) = (server.device(), server.device());
    let (one, two) = (user(&one).await, user(&two).await);
    let one = one.open_and_download(PARTITION, schema()).await.unwrap();
    let write = one.write_async::<_, WriteError>(move |tx| {
        (0..OBJECTS).try_for_each(|id| tx.create("Item", id)?.set("name", text(id, len)).map(drop))
    });
    write.await.unwrap();
    upload(&one).await;
    let progress = one.sync().unwrap().progress().borrow().unwrap();
    assert!(progress.uploaded > u64::try_from(megabytes).unwrap() * 1_000_000, "{progress:?}");
    let two = two.open(PARTITION, schema()).await.unwrap();
    download(&two).await;
    let view = View::new(two.snapshot().unwrap());
    let mut items = view.all::<crate::stock::Item>().unwrap();
    for id in 0..OBJECTS {
        let item = items.next().unwrap().unwrap();
        assert!(item.id == id && item.name == text(id, len), "item {id}");
    }
    assert!(items.next().is_none());
    drop((items, view, one, two));
    server.stop().await;
}
