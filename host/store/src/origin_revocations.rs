//! Revocations of all that came by one way: a connector, or a method.

use archstone_model::connector::{OriginRevocation, TokenOrigin};
use chrono::{DateTime, Utc};
use sea_query::{Expr, ExprTrait, Query};

use crate::{Result, Store, row::Row, write};

const TABLE: &str = "archstone_origin_revocation";

impl Store {
    /// Revokes, and forgets what no token can be covered by any more: those that ended before
    /// `oldest` was issued.
    pub async fn revoke_origins(
        &self,
        revocations: &[OriginRevocation],
        oldest: DateTime<Utc>,
    ) -> Result<()> {
        write!(self, tx => {
            let forget = Query::delete()
                .from_table(TABLE)
                .and_where(Expr::col("issued_until_int").lt(oldest.timestamp_micros()))
                .to_owned();
            tx.execute(&forget).await?;
            for revocation in revocations {
                let (idp_id, protocol_id, method) = match &revocation.origin {
                    TokenOrigin::Provider(idp_id, protocol_id) => {
                        (Some(idp_id.as_str()), Some(protocol_id.as_str()), None)
                    }
                    TokenOrigin::Method(name) => (None, None, Some(name.as_str())),
                };
                let insert = Query::insert()
                    .into_table(TABLE)
                    .columns(["id", "idp_id", "protocol_id", "method", "issued_from_int", "issued_until_int"])
                    .values_panic([
                        uuid::Uuid::new_v4().simple().to_string().into(),
                        idp_id.into(),
                        protocol_id.into(),
                        method.into(),
                        revocation.issued_from.timestamp_micros().into(),
                        revocation.issued_until.timestamp_micros().into(),
                    ])
                    .to_owned();
                tx.execute(&insert).await?;
            }
        })
    }

    /// The revocations that may cover a token issued at this time.
    pub async fn origin_revocations_covering(
        &self,
        issued_at: DateTime<Utc>,
    ) -> Result<Vec<OriginRevocation>> {
        let mut session = self.db.session().await?;
        let at = issued_at.timestamp_micros();
        let query = Query::select()
            .columns([
                "idp_id",
                "protocol_id",
                "method",
                "issued_from_int",
                "issued_until_int",
            ])
            .from(TABLE)
            .and_where(Expr::col("issued_from_int").lte(at))
            .and_where(Expr::col("issued_until_int").gt(at))
            .to_owned();
        session.fetch_all(&query).await?.iter().map(read).collect()
    }
}

fn read(row: &Row) -> Result<OriginRevocation> {
    let origin = match (row.opt_text("idp_id")?, row.opt_text("protocol_id")?) {
        (Some(idp_id), Some(protocol_id)) => {
            TokenOrigin::Provider(idp_id.into(), protocol_id.into())
        }
        _ => TokenOrigin::Method(row.opt_text("method")?.unwrap_or_default()),
    };
    Ok(OriginRevocation {
        origin,
        issued_from: row.opt_micros("issued_from_int")?.unwrap_or_default(),
        issued_until: row.opt_micros("issued_until_int")?.unwrap_or_default(),
    })
}
