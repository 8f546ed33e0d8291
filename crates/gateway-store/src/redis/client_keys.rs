//! Keys of clients, in Redis: one hash, and a number that grows.

use super::{RedisStore, reply, script};
use async_trait::async_trait;
use fred::types::Value;
use gateway_core::state::{ClientKey, ClientKeys, StoreError};

#[async_trait]
impl ClientKeys for RedisStore {
    async fn put(&self, key: &ClientKey) -> Result<(), StoreError> {
        let arguments = vec![key.id.as_str().into(), write(key)?.into()];
        let put = self.link.call(&script::CLIENT_KEY_PUT, self.key_places(), arguments).await?;
        if reply::number(&put)? == 0 { Err(StoreError::Full) } else { Ok(()) }
    }

    async fn replace(
        &self,
        old: &ClientKey,
        new: &ClientKey,
        added: &[ClientKey],
    ) -> Result<bool, StoreError> {
        let mut arguments: Vec<Value> =
            vec![old.id.as_str().into(), write(old)?.into(), write(new)?.into()];
        for added in added {
            arguments.extend([added.id.as_str().into(), Value::from(write(added)?)]);
        }
        let replaced =
            self.link.call(&script::CLIENT_KEY_REPLACE, self.key_places(), arguments).await?;
        match replaced.as_i64() {
            Some(1) => Ok(true),
            Some(0) => Ok(false),
            _ => Err(StoreError::Full),
        }
    }

    async fn remove(&self, id: &str) -> Result<bool, StoreError> {
        let arguments = vec![id.into()];
        let removed =
            self.link.call(&script::CLIENT_KEY_REMOVE, self.key_places(), arguments).await?;
        Ok(reply::number(&removed)? == 1)
    }

    async fn all(&self) -> Result<Vec<ClientKey>, StoreError> {
        let [keys, _] = self.key_names();
        let pairs = self.link.pairs(keys).await?;
        let keys = pairs.into_iter().map(|(_, value)| read(value));
        let mut keys = keys.collect::<Result<Vec<_>, _>>()?;
        keys.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(keys)
    }

    async fn version(&self) -> Result<u64, StoreError> {
        let [_, version] = self.key_names();
        let version = self.link.get(version).await?;
        if version.is_null() { Ok(0) } else { reply::number(&version) }
    }
}

fn write(key: &ClientKey) -> Result<String, StoreError> {
    serde_json::to_string(key).map_err(|_| StoreError::Invalid("the key cannot be written as JSON"))
}

fn read(value: Value) -> Result<ClientKey, StoreError> {
    serde_json::from_slice(&reply::bytes(value)?)
        .map_err(|error| StoreError::corrupt("client key", error.to_string()))
}

impl RedisStore {
    fn key_names(&self) -> [String; 2] {
        ["k", "v"].map(|letter| format!("{}k:{{keys}}:{letter}", self.link.prefix))
    }

    fn key_places(&self) -> Vec<String> {
        self.key_names().to_vec()
    }
}
