std = "lua54"
max_line_length = 180
cache = "build/luacheck.cache"
exclude_files = { "build/**", "lua_modules/**" }
files["spec/**/*_spec.lua"] = { std = "lua54+busted" }
files["*.rockspec"] = { std = "rockspec" }
