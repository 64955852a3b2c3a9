//! Domain configuration: what clients may read in one table, what they may not in another.

use archstone_model::{
    domain_config::{ConfigOption, ConfigOptions, ConfigPart, ConfigValue},
    id::DomainId,
};
use sea_query::{Cond, Expr, ExprTrait, Query};

use crate::{Result, Store, database::Session, users::delete_where, write};

const READABLE: &str = "whitelisted_config";
const SENSITIVE: &str = "sensitive_config";

impl Store {
    /// The readable options of a domain.
    pub async fn domain_config(&self, id: &DomainId) -> Result<ConfigOptions> {
        let mut session = self.db.session().await?;
        let query = Query::select()
            .columns(["group", "option", "value"])
            .from(READABLE)
            .and_where(Expr::col("domain_id").eq(id.as_str()))
            .to_owned();
        let mut options = ConfigOptions::default();
        for row in session.fetch_all(&query).await? {
            options.insert(
                &row.text("group")?,
                &row.text("option")?,
                row.json("value")?,
            );
        }
        Ok(options)
    }

    /// All options of a domain, the sensitive ones last.
    pub async fn complete_domain_config(&self, id: &DomainId) -> Result<Vec<ConfigOption>> {
        let mut session = self.db.session().await?;
        let mut options = Vec::new();
        for table in [READABLE, SENSITIVE] {
            let query = Query::select()
                .columns(["group", "option", "value"])
                .from(table)
                .and_where(Expr::col("domain_id").eq(id.as_str()))
                .to_owned();
            for row in session.fetch_all(&query).await? {
                options.push(ConfigOption {
                    group: row.text("group")?,
                    option: row.text("option")?,
                    value: if table == SENSITIVE {
                        ConfigValue::Sensitive(row.text("value")?.into())
                    } else {
                        ConfigValue::Readable(row.json("value")?)
                    },
                });
            }
        }
        Ok(options)
    }

    /// Whether a domain has anything set in this part, be it readable or not.
    pub async fn has_domain_config(&self, id: &DomainId, part: &ConfigPart) -> Result<bool> {
        let mut session = self.db.session().await?;
        has(&mut session, id, part).await
    }

    /// Puts these options in place of all that a domain has, and says whether it had any.
    pub async fn replace_domain_config(
        &self,
        id: &DomainId,
        options: &[ConfigOption],
    ) -> Result<bool> {
        write!(self, tx => {
            let had_any = has(tx, id, &ConfigPart::All).await?;
            for table in [READABLE, SENSITIVE] {
                delete_where(tx, table, "domain_id", id.as_str()).await?;
            }
            for option in options {
                insert(tx, id, option).await?;
            }
            had_any
        })
    }

    /// Sets these options of a domain and leaves the others.
    pub async fn set_domain_config(&self, id: &DomainId, options: &[ConfigOption]) -> Result<()> {
        write!(self, tx => {
            for option in options {
                let part = ConfigPart::Option {
                    group: option.group.clone(),
                    option: option.option.clone(),
                };
                delete(tx, id, &part).await?;
                insert(tx, id, option).await?;
            }
        })
    }

    /// Deletes a part of a domain's options; no error where there are none.
    pub async fn delete_domain_config(&self, id: &DomainId, part: &ConfigPart) -> Result<()> {
        write!(self, tx => {
            delete(tx, id, part).await?;
        })
    }
}

async fn has(session: &mut Session, id: &DomainId, part: &ConfigPart) -> Result<bool> {
    for table in [READABLE, SENSITIVE] {
        let query = Query::select()
            .column("option")
            .from(table)
            .cond_where(within(id, part))
            .limit(1)
            .to_owned();
        if session.fetch_optional(&query).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn delete(tx: &mut Session, id: &DomainId, part: &ConfigPart) -> Result<()> {
    for table in [READABLE, SENSITIVE] {
        let delete = Query::delete()
            .from_table(table)
            .cond_where(within(id, part))
            .to_owned();
        tx.execute(&delete).await?;
    }
    Ok(())
}

async fn insert(tx: &mut Session, id: &DomainId, option: &ConfigOption) -> Result<()> {
    let (table, value) = match &option.value {
        ConfigValue::Readable(value) => (READABLE, value.to_string()),
        // Keystone's drivers read it from there as it is.
        ConfigValue::Sensitive(text) => (SENSITIVE, text.expose().to_owned()),
    };
    let insert = Query::insert()
        .into_table(table)
        .columns(["domain_id", "group", "option", "value"])
        .values_panic([
            id.as_str().into(),
            option.group.as_str().into(),
            option.option.as_str().into(),
            value.into(),
        ])
        .to_owned();
    tx.execute(&insert).await.map(drop)
}

fn within(id: &DomainId, part: &ConfigPart) -> Cond {
    let mut within = Cond::all().add(Expr::col("domain_id").eq(id.as_str()));
    if let Some(group) = part.group() {
        within = within.add(Expr::col("group").eq(group));
    }
    if let Some(option) = part.option() {
        within = within.add(Expr::col("option").eq(option));
    }
    within
}
