std = "lua54"
max_line_length = 100
exclude_files = { "build", "lua/meta", "tests/fixtures/hostile", "tests/fixtures/plugins", "tests/torture/plugins" }
-- A row of a table of cases reads better in one line.
files["tests"] = { std = "lua54+busted", max_line_length = 120 }
