# There is no cloud behind this configuration: what it describes are values, which terraform plans, applies and remembers
# as it does resources. So it runs offline, with any terraform from 0.15 on or OpenTofu, and without a provider.
locals {
  # USD a month each, on demand, as AWS lists them for us-east-1 (730 hours).
  prices = {
    "m5.large"      = 70.08
    "m5.xlarge"     = 140.16
    "m5.2xlarge"    = 280.32
    "c5.2xlarge"    = 248.20
    "c5.4xlarge"    = 496.40
    "db.r5.2xlarge" = 730.00
    "db.r5.4xlarge" = 1460.00
  }
  fleet = [local.web, local.workers, local.database]
}

output "web" {
  value = local.web
}

output "workers" {
  value = local.workers
}

output "database" {
  value = local.database
}

output "monthly_usd" {
  value = format("%.2f", sum([for group in local.fleet : group.count * local.prices[group.size]]))
}
