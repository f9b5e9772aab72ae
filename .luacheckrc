std = "lua54"
max_line_length = 100
exclude_files = { "build", "lua/meta" }
files["tests/**/*.lua"] = { std = "lua54+busted" }
files["tests/spec"] = { std = "lua54+busted" }
