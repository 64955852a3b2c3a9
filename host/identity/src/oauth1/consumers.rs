//! Consumers: the programs that users can let act for them.

use archstone_model::{
    Extra, entity::Entity, id::ConsumerId, listing::Change, oauth1::Consumer, policy::Target,
    secret::Secret,
};

use crate::{Caller, Error, Identity, Result, new_id};

/// What a client gives to create a consumer. Its secret is made up.
#[derive(Debug, Clone, Default)]
pub struct ConsumerCreation {
    pub description: Option<String>,
    pub extra: Extra,
}

/// What a client gives to change a consumer.
#[derive(Debug, Clone, Default)]
pub struct ConsumerChange {
    pub description: Change<Option<String>>,
    pub extra: Extra,
}

/// As many characters as the database has room for.
const LONGEST_DESCRIPTION: usize = 64;

impl Identity {
    pub async fn consumers(&self, caller: &Caller) -> Result<Vec<Consumer>> {
        self.enforce(caller, "identity:list_consumers", Target::new())
            .await?;
        Ok(self.store.consumers().await?)
    }

    pub async fn consumer(&self, caller: &Caller, id: &ConsumerId) -> Result<Consumer> {
        self.enforce(caller, "identity:get_consumer", Target::new())
            .await?;
        Ok(self.store.consumer(id).await?)
    }

    pub async fn create_consumer(
        &self,
        caller: &Caller,
        creation: ConsumerCreation,
    ) -> Result<Consumer> {
        self.enforce(caller, "identity:create_consumer", Target::new())
            .await?;
        check_description(creation.description.as_deref())?;
        let consumer = Consumer {
            id: ConsumerId::new(new_id()),
            description: creation.description,
            secret: Secret::new(new_id()),
            extra: creation.extra,
        };
        self.store.create_consumer(&consumer).await?;
        self.audit_write(caller, "create", Entity::Consumer, consumer.id.as_str());
        Ok(consumer)
    }

    pub async fn update_consumer(
        &self,
        caller: &Caller,
        id: &ConsumerId,
        change: ConsumerChange,
    ) -> Result<Consumer> {
        self.enforce(caller, "identity:update_consumer", Target::new())
            .await?;
        let mut consumer = self.store.consumer(id).await?;
        if let Change::Set(description) = change.description {
            check_description(description.as_deref())?;
            consumer.description = description;
        }
        consumer.extra.extend(change.extra);
        self.store.replace_consumer(&consumer).await?;
        self.audit_write(caller, "update", Entity::Consumer, id.as_str());
        Ok(consumer)
    }

    /// Deletes a consumer, and with it all that users granted to it.
    pub async fn delete_consumer(&self, caller: &Caller, id: &ConsumerId) -> Result<()> {
        self.enforce(caller, "identity:delete_consumer", Target::new())
            .await?;
        self.store.delete_consumer(id).await?;
        self.audit_write(caller, "delete", Entity::Consumer, id.as_str());
        Ok(())
    }
}

fn check_description(description: Option<&str>) -> Result<()> {
    match description {
        Some(text) if text.chars().count() > LONGEST_DESCRIPTION => Err(Error::invalid(format!(
            "Invalid input for field 'description': it is longer than {LONGEST_DESCRIPTION} \
             characters"
        ))),
        _ => Ok(()),
    }
}
