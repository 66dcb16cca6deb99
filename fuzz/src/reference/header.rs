//! A header as a list of pairs.

use nethttp::Header;

#[derive(Debug, Default)]
pub struct Model(Vec<(String, Vec<u8>)>);

impl Model {
    pub fn add(&mut self, name: &str, value: &[u8]) {
        self.0.push((name.to_owned(), value.to_vec()));
    }

    /// In place of all of this name, where the first one stood.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        let Some(first) = self.0.iter_mut().find(|pair| pair.0.eq_ignore_ascii_case(name)) else {
            return self.add(name, value);
        };
        first.1 = value.to_vec();
        let mut is_first = true;
        self.0.retain(|pair| !pair.0.eq_ignore_ascii_case(name) || std::mem::take(&mut is_first));
    }

    pub fn del(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|pair| !pair.0.eq_ignore_ascii_case(name));
        self.0.len() < before
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    fn values(&self, name: &str) -> Vec<&[u8]> {
        self.0.iter().filter(|pair| pair.0.eq_ignore_ascii_case(name)).map(|pair| &pair.1[..]).collect()
    }

    /// Asserts that the header holds the same, and says so of this name and value.
    pub fn is(&self, header: &Header, name: &str, value: &[u8]) {
        assert_eq!((header.len(), header.is_empty()), (self.0.len(), self.0.is_empty()));
        assert!(header.iter().eq(self.0.iter().map(|(name, value)| (name.as_str(), &value[..]))));
        let values = self.values(name);
        let texts: Vec<&str> = values.iter().filter_map(|value| std::str::from_utf8(value).ok()).collect();
        assert_eq!(header.values_bytes(name).collect::<Vec<_>>(), values);
        assert_eq!(header.values(name).collect::<Vec<_>>(), texts);
        assert_eq!(header.get_bytes(name), values.first().copied());
        assert_eq!(header.get(name), values.first().and_then(|value| std::str::from_utf8(value).ok()));
        assert_eq!(header.contains(name), !values.is_empty());
        assert_eq!(*header, self.0.iter().map(|(name, value)| (name.to_ascii_uppercase(), value)).collect());
        let Ok(token) = std::str::from_utf8(value) else { return };
        let all = values.join(&b',');
        let has = all.split(|b| *b == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(token.as_bytes()));
        assert_eq!(header.has_token(name, token), has && !values.is_empty());
    }
}
