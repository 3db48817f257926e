# What runs. `apply_changes` brings a new one of these; the other files of the working copy are its owner's.
locals {
  web      = { size = "m5.2xlarge", count = 6 }
  workers  = { size = "c5.4xlarge", count = 4 }
  database = { size = "db.r5.4xlarge", count = 1, encrypted = false, public = true }
}
