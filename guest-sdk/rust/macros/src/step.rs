//! `#[wflo::step]`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Expr, ExprLit, Ident, ItemFn, Lit, LitStr, Meta, Path, ReturnType, Token};

/// The function stays what it is. Beside it, in the namespace of types, stands an empty enum of the same name,
/// which `export!` finds by the name the author writes.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> Result<TokenStream, Error> {
    let options: Options = syn::parse2(options)?;
    let function: ItemFn =
        syn::parse2(item).map_err(|error| Error::new(error.span(), "`#[wflo::step]` goes on a function"))?;
    let signature = &function.sig;
    if let Some(asyncness) = &signature.asyncness {
        let message = "a step is not `async`: its host calls wait by themselves, and waiting costs nothing";
        return Err(Error::new_spanned(asyncness, message));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(&signature.generics, "a step has no type parameters"));
    }
    let output = match &signature.output {
        ReturnType::Type(_, output) => output,
        ReturnType::Default => {
            return Err(Error::new_spanned(signature, "a step returns `wflo::Result<T>`"));
        }
    };
    let ident = &signature.ident;
    let call = match signature.inputs.len() {
        0 => quote!(#ident()),
        1 => quote!(#ident(::wflo::Context::current())),
        _ => {
            let message =
                "a step takes one `wflo::Context`, or nothing; inputs come from `ctx.input(\"name\")`";
            return Err(Error::new_spanned(&signature.inputs, message));
        }
    };
    let name = match options.name {
        Some(name) => name,
        None => LitStr::new(ident.to_string().trim_start_matches("r#"), ident.span()),
    };
    let summary = summary(&function.attrs);
    let visibility = &function.vis;
    let compensate = match options.compensate {
        // The author may call the function `undo` as well.
        Some(path) => {
            let undo = Ident::new("undo", Span::mixed_site());
            quote!(::core::option::Option::Some(
                |#undo| ::wflo::__rt::done(#path(::wflo::Context::current(), #undo))
            ))
        }
        None => quote!(::core::option::Option::None),
    };
    Ok(quote! {
        #[deny(dead_code, reason = "a step that `wflo::export!` does not name is no part of the component")]
        #function

        #[doc(hidden)]
        #[allow(non_camel_case_types, reason = "it bears the name of its function")]
        #visibility enum #ident {}

        #[automatically_derived]
        impl ::wflo::__rt::Step for #ident {
            const ENTRY: ::wflo::__rt::Entry = ::wflo::__rt::Entry {
                name: #name,
                summary: #summary,
                output_schema: || {
                    use ::wflo::__rt::{NoSchema as _, HasSchema as _};
                    (&::wflo::__rt::Output::<#output>::new()).schema()
                },
                run: || ::wflo::__rt::output(#call),
                compensate: #compensate,
            };
        }
    })
}

/// The first line of a doc comment.
fn summary(attributes: &[Attribute]) -> String {
    let docs = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    let text = docs.collect::<Vec<_>>().join("\n");
    text.trim_start().lines().next().unwrap_or_default().trim().trim_end_matches('.').to_owned()
}

#[derive(Default)]
struct Options {
    name: Option<LitStr>,
    compensate: Option<Path>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut options = Self::default();
        for option in Punctuated::<Choice, Token![,]>::parse_terminated(input)? {
            match option {
                Choice::Name(name) => options.name = Some(name),
                Choice::Compensate(path) => options.compensate = Some(path),
            }
        }
        Ok(options)
    }
}

enum Choice {
    Name(LitStr),
    Compensate(Path),
}

impl Parse for Choice {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key: Ident = input.parse()?;
        input.parse::<Token![=]>()?;
        if key == "name" {
            let name: LitStr = input.parse()?;
            let text = name.value();
            let ok = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
            let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            if !starts || text.len() > 128 || !text.chars().all(ok) {
                let message =
                    "a step's name is 1 to 128 letters, digits, `_` and `-`, and does not begin with `-`";
                return Err(Error::new(name.span(), message));
            }
            Ok(Self::Name(name))
        } else if key == "compensate" {
            input.parse().map(Self::Compensate)
        } else {
            let message =
                format!("unknown option `{key}`; there are `name = \"...\"` and `compensate = function`");
            Err(Error::new(key.span(), message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(options: TokenStream, item: TokenStream, message: &str) {
        let error = expand(options, item).expect_err("is refused").to_string();
        assert!(error.contains(message), "{error}");
    }

    /// Without spaces, which the printer of tokens sets as it likes.
    fn text(tokens: TokenStream) -> String {
        tokens.to_string().replace(' ', "")
    }

    #[test]
    fn describes_the_function_it_is_on() {
        let item = quote! {
            /// Analyzes recent transactions.
            ///
            /// More.
            fn analyze(ctx: Context) -> wflo::Result<Output> { todo(ctx) }
        };
        let out = text(expand(quote!(), item).unwrap());
        assert!(out.contains(r#"name:"analyze""#), "{out}");
        assert!(out.contains(r#"summary:"Analyzesrecenttransactions""#), "{out}");
        assert!(out.contains("compensate:::core::option::Option::None"), "{out}");
    }

    #[test]
    fn takes_a_name_and_a_compensation() {
        let item = quote!(
            fn publish() -> wflo::Result<()> {
                Ok(())
            }
        );
        let out = text(expand(quote!(name = "publish-it", compensate = withdraw), item).unwrap());
        assert!(out.contains(r#"name:"publish-it""#), "{out}");
        assert!(out.contains("withdraw(::wflo::Context::current(),undo)"), "{out}");
    }

    #[test]
    fn refuses_what_is_no_step() {
        let good = quote!(
            fn f() -> wflo::Result<()> {
                Ok(())
            }
        );
        refused(
            quote!(),
            quote!(
                struct S;
            ),
            "goes on a function",
        );
        refused(
            quote!(),
            quote!(
                async fn f() -> wflo::Result<()> {
                    Ok(())
                }
            ),
            "not `async`",
        );
        refused(
            quote!(),
            quote!(
                fn f() {}
            ),
            "returns `wflo::Result<T>`",
        );
        refused(
            quote!(),
            quote!(
                fn f(a: A, b: B) -> R {
                    a
                }
            ),
            "ctx.input",
        );
        refused(
            quote!(),
            quote!(
                fn f<T>() -> R {
                    a
                }
            ),
            "no type parameters",
        );
        refused(quote!(name = "a b"), good.clone(), "letters, digits");
        refused(quote!(grants = "x"), good, "unknown option `grants`");
    }
}
