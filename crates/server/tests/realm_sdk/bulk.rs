//! Much at once, and little very often.

use crate::server::Server;

const STORE: &str = r#""store42""#;

#[test]
fn ten_thousand_objects_in_one_transaction() {
    let mut server = Server::start();
    let writer = server.device("writer");
    writer.open("entry", STORE);
    writer.write(
        r#"for (let n = 0; n < 10_000; n++) create("Entry", { _id: `entry ${n}`, author: "the same author every time", n })"#,
    );
    writer.upload();
    let reader = server.device("reader");
    reader.open_downloaded("entry", STORE);
    let contents = reader.dump();
    assert_eq!(contents.count("Entry"), 10_000);
    contents.assert_same(&writer.dump());

    // And all of them changed, then most of them gone, each in one transaction too.
    let seen = writer.begin_until(r#"all("Entry").filtered("n < 0").length === 9_999"#);
    reader.write(r#"for (const entry of all("Entry").snapshot()) entry.n = -entry.n"#);
    seen.finish();
    let seen = reader.begin_until(r#"all("Entry").length === 1"#);
    writer.write(r#"realm.delete(all("Entry").filtered("n < 0"))"#);
    seen.finish();
    let contents = reader.dump();
    server.stop();
    contents.assert_same(&server.dump(STORE));
}

#[test]
fn eight_hundred_transactions_made_offline() {
    let mut server = Server::start();
    let (writer, reader) = (server.device("writer"), server.device("reader"));
    reader.open("journal", STORE);
    reader.download();
    writer.open("journal", STORE);
    writer.download();
    writer.pause();
    writer.run(
        r#"
        write(() => create("Journal", { _id: "shared" }));
        for (let n = 1; n < 800; n++) {
            write(() => {
                if (n % 2) create("Entry", { _id: `entry ${n}`, author: "writer", n });
                else get("Entry", `entry ${n - 1}`).n = -n;
                get("Journal", "shared").lines.push(`line ${n}`);
            });
        }
        "#,
    );
    writer.resume();
    writer.upload();
    reader.download();
    let contents = reader.dump();
    assert_eq!(contents.count("Entry"), 400);
    reader.check(r#"get("Journal", "shared").lines.length === 799"#);
    reader.check(r#"get("Journal", "shared").lines.every((line, i) => line === `line ${i + 1}`)"#);
    contents.assert_same(&writer.dump());
    server.stop();
    contents.assert_same(&server.dump(STORE));
}

#[test]
fn strings_and_binaries_of_a_megabyte() {
    let mut server = Server::start();
    let writer = server.device("writer");
    writer.open("everything", STORE);
    // Text that compresses well, bytes that do not, and characters of four bytes.
    writer.write(
        r#"
        create("Everything", {
            _id: 1, ...required(),
            string: "compressible ".repeat(80_660),
            data: crypto.getRandomValues(new Uint8Array(65_536)).buffer,
            stringList: ["🦀".repeat(262_144), "", "x".repeat(1_048_576)],
            dataOpt: new Uint8Array(1_048_576).map((_, i) => (i * 2_654_435_761) >>> 24).buffer,
        })
        "#,
    );
    writer.upload();
    let reader = server.device("reader");
    reader.open_downloaded("everything", STORE);
    reader.check("get('Everything', 1).string.length === 1_048_580");
    let contents = reader.dump();
    contents.assert_same(&writer.dump());

    let seen = writer.begin_until("get('Everything', 1).string.endsWith('the end')");
    reader.write("get('Everything', 1).string += 'the end'");
    seen.finish();
    let contents = reader.dump();
    server.stop();
    contents.assert_same(&server.dump(STORE));
}
