//! `#[wflo::data]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error};

pub(crate) fn expand(options: TokenStream, item: TokenStream) -> Result<TokenStream, Error> {
    if !options.is_empty() {
        return Err(Error::new_spanned(options, "`#[wflo::data]` takes no options"));
    }
    let item: DeriveInput = syn::parse2(item)
        .map_err(|error| Error::new(error.span(), "`#[wflo::data]` goes on a struct or an enum"))?;
    Ok(quote! {
        #[derive(::wflo::serde::Serialize, ::wflo::serde::Deserialize, ::wflo::schemars::JsonSchema)]
        #[serde(crate = "::wflo::serde")]
        #[schemars(crate = "::wflo::schemars")]
        #item
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derives_in_front_of_the_item() {
        let out = expand(
            quote!(),
            quote!(
                pub struct Finding {
                    account: String,
                }
            ),
        )
        .unwrap();
        let item: syn::ItemStruct = syn::parse2(out).unwrap();
        let attributes = item.attrs.iter().map(|attribute| attribute.path().get_ident().unwrap().to_string());
        assert_eq!(attributes.collect::<Vec<_>>(), ["derive", "serde", "schemars"]);
        assert_eq!(item.ident, "Finding");
    }

    #[test]
    fn refuses_what_is_no_data() {
        let error = expand(
            quote!(),
            quote!(
                fn f() {}
            ),
        )
        .unwrap_err();
        assert_eq!(error.to_string(), "`#[wflo::data]` goes on a struct or an enum");
        let error = expand(
            quote!(x),
            quote!(
                struct S;
            ),
        )
        .unwrap_err();
        assert_eq!(error.to_string(), "`#[wflo::data]` takes no options");
    }
}
