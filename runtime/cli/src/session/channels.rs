//! Opens the channels of a deployment, and its mail.

use std::sync::Arc;

use wflo::{Outside, OutsideMail};
use wflo_backends::SystemClock;
use wflo_backends::mail::{Smtp, SmtpConfig};
use wflo_backends::notify::{Email, PagerDuty, PagerDutyConfig, Slack, SlackConfig, Webhook};
use wflo_manifest::{Channel, ChannelKind, Deployment, MailAccepts, MailServer, Text};
use wflo_ports::{Mail, Notifier};

use super::deploy::Deploy;
use crate::failure::Failure;

impl Deploy {
    /// Lends the channels, and mail. One that cannot be opened, for want of its secret or because that makes no sense, stops
    /// nothing: what is to be told there waits, and `wflo outbox` says why.
    pub(super) fn lend_channels(
        &self,
        deployment: &Deployment,
        mut outside: Outside,
    ) -> Result<Outside, Failure> {
        for (address, channel) in &deployment.channels {
            let real = match &channel.kind {
                ChannelKind::Alias { to } => deployment.channels.get(to),
                _ => Some(channel),
            };
            let opened = real.ok_or_else(|| "it stands for a channel that is not there".to_owned());
            let opened = opened.and_then(|channel| self.channel(deployment, channel));
            outside = outside.with_channel(address.clone(), opened);
        }
        if let Some(server) = &deployment.mail {
            let mut mail = OutsideMail::new(self.mail(server));
            if let Some(ceiling) = &deployment.ceilings.mail {
                mail = mail.within(ceiling.clone());
            }
            for MailAccepts { to, labels } in &deployment.mail_accepts {
                mail = mail.accepting(to.clone(), labels.clone());
            }
            outside = outside.with_mail(mail);
        }
        match &deployment.serve.url {
            Some(url) => Ok(outside.with_pages(self.resolve(url)?)),
            None => Ok(outside),
        }
    }

    fn channel(&self, deployment: &Deployment, channel: &Channel) -> Result<Arc<dyn Notifier>, String> {
        let read = |text: &Text| self.resolve_text(text).map_err(|error| error.to_string());
        let maybe = |text: &Option<Text>| text.as_ref().map(read).transpose();
        let accepts = channel.accepts.clone();
        let slack = |config| {
            Ok(Arc::new(Slack::new(config, accepts.clone()).map_err(|error| error.to_string())?) as _)
        };
        match &channel.kind {
            ChannelKind::SlackWebhook { webhook } => slack(SlackConfig::Webhook { url: read(webhook)? }),
            ChannelKind::SlackBot { token, channel, api } => {
                slack(SlackConfig::Bot { token: read(token)?, channel: channel.clone(), api: maybe(api)? })
            }
            ChannelKind::PagerDuty { routing_key, api, urgency } => {
                let (routing_key, api) = (read(routing_key)?, maybe(api)?);
                let config = PagerDutyConfig { routing_key, api, severity: urgency.to_string() };
                Ok(Arc::new(PagerDuty::new(config, accepts).map_err(|error| error.to_string())?))
            }
            ChannelKind::Email { to, server } => {
                let server = server.as_ref().or(deployment.mail.as_ref());
                let server = server.ok_or("nothing says by which server mail leaves")?;
                Ok(Arc::new(Email::new(self.mail(server)?, to, accepts)))
            }
            ChannelKind::Webhook { url, secret } => {
                let webhook = Webhook::new(&read(url)?, read(secret)?, Arc::new(SystemClock), accepts);
                Ok(Arc::new(webhook.map_err(|error| error.to_string())?))
            }
            _ => Err("this version does not know that kind of channel".to_owned()),
        }
    }

    /// The server that mail leaves by.
    fn mail(&self, server: &MailServer) -> Result<Arc<dyn Mail>, String> {
        let read = |text: &Text| self.resolve_text(text).map_err(|error| error.to_string());
        let mut config = SmtpConfig::new(&read(&server.smtp)?).map_err(|error| error.to_string())?;
        if let Some(from) = &server.from {
            config.from = read(from)?;
        }
        if let (Some(user), Some(password)) = (&server.user, &server.password) {
            config.account = Some((read(user)?, read(password)?));
        }
        if let Some(path) = &server.authority {
            let path = self.beside(path);
            let pem = std::fs::read(&path).map_err(|error| format!("`{}`: {error}", path.display()))?;
            config.authority = Some(pem);
        }
        Ok(Arc::new(Smtp::new(config).map_err(|error| error.to_string())?))
    }
}
