//! The story: what is in stock, who changes what while nobody can reach the server, and what comes of it.

use std::path::Path;
use std::time::SystemTime;

use anyhow::{Result, ensure};
use bailiwick_client::{ObjectId, WriteError, WriteTransaction, object};

use super::Service;
use super::device::Device;
use super::screen;

/// The partition: one store of the chain.
pub(super) const STORE: &str = "Store 42";

object! {
    /// What is in stock, as `examples/inventory` has it.
    #[derive(PartialEq)]
    pub(super) struct InventoryItem {
        #[primary_key]
        pub(super) _id: ObjectId,
        pub(super) store_number: String,
        pub(super) name: String,
        pub(super) quantity: i64,
    }
}

/// The devices' names.
const NAMES: [&str; 3] = ["Till", "Stockroom", "Office"];

/// What is left in the end.
const EXPECTED: [(&str, i64); 4] = [("Gaffer tape", 7), ("Hammer", 19), ("Ladder", 2), ("Saw", 5)];

/// Why.
const REASONS: [(&str, &str); 5] = [
    ("Hammer 19", "10 - 3 + 12: additions do not overwrite each other, they add up"),
    ("Saw 5", "both counted, and set the number: the later write wins, whoever comes back first"),
    ("Gaffer tape", "both renamed it: again the later write wins"),
    ("no nails", "a deletion wins over changes that did not know of it"),
    ("Ladder 2", "a new object conflicts with nothing"),
];

/// Tells the story. The devices are online afterwards, and agree.
pub(super) async fn tell(service: &Service, folder: &Path) -> Result<[Device; 3]> {
    screen::title("Three devices");
    let mut devices = Vec::new();
    for name in NAMES {
        devices.push(Device::unpack(name, service, folder).await?);
    }
    let devices: [Device; 3] =
        devices.try_into().unwrap_or_else(|_| unreachable!("there is one for each name"));
    let [till, stockroom, office] = &devices;

    screen::title("The till enters the stock, and the others receive it");
    let [hammer, nails, tape, saw] = std::array::from_fn(|_| ObjectId::new());
    till.write(|tx| {
        for (id, name, quantity) in
            [(hammer, "Hammer", 10), (nails, "Nails", 500), (tape, "Tape", 7), (saw, "Saw", 4)]
        {
            tx.insert(&item(id, name, quantity))?;
        }
        Ok(())
    })?;
    for device in &devices {
        device.catch_up().await?;
    }
    show(&devices)?;

    screen::title("All three go offline, and work on");
    for device in &devices {
        device.go_offline().await;
    }
    let edit = |device: &Device, what, how, edit: Edit| {
        screen::act(device.name, what, how);
        later();
        device.write(edit)
    };
    edit(till, "sells 3 hammers", "quantity: add -3", &|tx| add(tx, hammer, -3))?;
    edit(stockroom, "receives 12 hammers", "quantity: add 12", &|tx| add(tx, hammer, 12))?;
    edit(till, "calls the tape duct tape", "name: set", &|tx| rename(tx, tape, "Duct tape"))?;
    edit(office, "calls it gaffer tape", "name: set", &|tx| rename(tx, tape, "Gaffer tape"))?;
    edit(stockroom, "counts 9 saws", "quantity: set 9", &|tx| count(tx, saw, 9))?;
    edit(office, "counts 5 saws", "quantity: set 5", &|tx| count(tx, saw, 5))?;
    edit(office, "gives up nails", "delete", &|tx| tx.delete(CLASS, nails))?;
    edit(stockroom, "receives 100 nails", "quantity: add 100", &|tx| add(tx, nails, 100))?;
    edit(office, "buys 2 ladders", "create", &|tx| {
        tx.insert(&item(ObjectId::new(), "Ladder", 2)).map(drop)
    })?;
    screen::say("");
    screen::say("Each sees its own work at once, and nobody else's:");
    show(&devices)?;

    for device in [office, stockroom, till] {
        screen::title(&format!("{} comes back", device.name));
        device.come_back().await?;
        show(&devices)?;
    }

    screen::title("What was done at the same time is merged, by the same rules everywhere");
    for device in &devices {
        device.catch_up().await?;
    }
    screen::say("");
    for (what, why) in REASONS {
        screen::act(what, why, "");
    }
    let agreed = till.items()?;
    for device in &devices {
        ensure!(device.items()? == agreed, "{} and {} do not agree", till.name, device.name);
    }
    let found: Vec<_> = agreed.iter().map(|item| (&*item.name, item.quantity)).collect();
    ensure!(found == EXPECTED, "they agree on something else than they should: {found:?}");
    screen::say("");
    screen::say("All three agree.");
    Ok(devices)
}

/// The class of [`InventoryItem`].
pub(super) const CLASS: &str = "InventoryItem";

type Edit<'a> = &'a dyn Fn(&mut WriteTransaction<'_>) -> Result<(), WriteError>;

fn add(tx: &mut WriteTransaction<'_>, id: ObjectId, quantity: i64) -> Result<(), WriteError> {
    tx.object(CLASS, id)?.add("quantity", quantity)?;
    Ok(())
}

fn count(tx: &mut WriteTransaction<'_>, id: ObjectId, quantity: i64) -> Result<(), WriteError> {
    tx.object(CLASS, id)?.set("quantity", quantity)?;
    Ok(())
}

fn rename(tx: &mut WriteTransaction<'_>, id: ObjectId, name: &str) -> Result<(), WriteError> {
    tx.object(CLASS, id)?.set("name", name)?;
    Ok(())
}

fn show(devices: &[Device]) -> Result<()> {
    screen::table(&devices.iter().map(Device::column).collect::<Result<Vec<_>>>()?);
    Ok(())
}

fn item(id: ObjectId, name: &str, quantity: i64) -> InventoryItem {
    InventoryItem { _id: id, store_number: STORE.to_owned(), name: name.to_owned(), quantity }
}

/// Waits for the clock's next millisecond, so that the order of what is written does not depend on luck.
fn later() {
    let now = || SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
    let before = now();
    while now() == before {
        std::thread::yield_now();
    }
}
