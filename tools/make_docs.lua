-- tools/make_docs.lua [DIR]: the manual as HTML in build/docs, or DIR (made anew): README, docs/*.md and the other pages; each Lua module's own words (its ---
-- comments); the engine's header. A small Markdown: headings, paragraphs, lists, tables, code, links, emphasis. A link to a page or an
-- anchor that is not there is an error.
local out_dir = arg and arg[1] or "build/docs"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

local function list(command)
  local pipe = assert(io.popen(command))
  local t = {}
  for line in pipe:lines() do t[#t + 1] = line end
  pipe:close()
  return t
end

local function escape(s)
  return (s:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ["\""] = "&quot;" }))
end

local function anchor(title)
  return (title:gsub("`", ""):gsub("<[^>]*>", ""):lower():gsub("[^%w%s_-]", ""):gsub("%s", "-"))
end

-- ---- pages ------------------------------------------------------------------------------------------------

local pages = {} -- { source, file, title, html, anchors, links }
local by_source = {}

local function page(source, file, title)
  local p = { source = source, file = file, title = title, anchors = {}, links = {} }
  pages[#pages + 1], by_source[source] = p, p
  return p
end

-- Where a link in a page leads: other pages become their HTML, the rest stays.
local function target(p, url)
  if url:match "^%a[%w+.-]*:" then return url end
  local path, fragment = url:match "^([^#]*)#?(.*)$"
  if path ~= "" then
    local dir = p.source:match "^(.*/)" or ""
    local parts = {}
    for part in (dir .. path):gmatch "[^/]+" do
      if part == ".." then parts[#parts] = nil elseif part ~= "." then parts[#parts + 1] = part end
    end
    path = table.concat(parts, "/")
  else
    path = p.source
  end
  p.links[#p.links + 1] = { path = path, fragment = fragment }
  local to = by_source[path]
  return (to and to.file or "../../" .. path) .. (fragment ~= "" and "#" .. fragment or "")
end

local function inline(p, text)
  local kept = {}
  local function keep(html)
    kept[#kept + 1] = html
    return "\1" .. #kept .. "\2"
  end
  text = text:gsub("(`+)(.-)%1", function(_, code) return keep("<code>" .. escape(code:match "^%s?(.-)%s?$") .. "</code>") end)
  text = text:gsub("!?%[([^%]]*)%]%(([^%s%)]+)%)", function(label, url)
    return keep("<a href=\"" .. escape(target(p, url)) .. "\">") .. label .. keep "</a>"
  end)
  text = escape(text)
  text = text:gsub("%*%*(%S.-)%*%*", "<strong>%1</strong>"):gsub("%*(%S[^*]-)%*", "<em>%1</em>")
  return (text:gsub("\1(%d+)\2", function(n) return kept[tonumber(n)] end))
end

-- ---- Markdown ---------------------------------------------------------------------------------------------

local render

local function cells(line)
  local t = {}
  line = line:match "^%s*|?(.-)|?%s*$":gsub("\\|", "\3")
  for cell in (line .. "|"):gmatch "(.-)|" do t[#t + 1] = (cell:gsub("\3", "|"):match "^%s*(.-)%s*$") end
  return t
end

local function render_table(p, lines, i)
  local out = { "<table>" }
  local head = cells(lines[i])
  if table.concat(head) ~= "" then
    out[#out + 1] = "<tr>"
    for _, c in ipairs(head) do out[#out + 1] = "<th>" .. inline(p, c) .. "</th>" end
    out[#out + 1] = "</tr>"
  end
  i = i + 2
  while lines[i] and lines[i]:match "^%s*|" do
    out[#out + 1] = "<tr>"
    for _, c in ipairs(cells(lines[i])) do out[#out + 1] = "<td>" .. inline(p, c) .. "</td>" end
    out[#out + 1] = "</tr>"
    i = i + 1
  end
  out[#out + 1] = "</table>"
  return table.concat(out, "\n"), i
end

-- An item's text may go on in lines that are indented, or not at all (lazily) until a blank one.
local function render_list(p, lines, i)
  local indent, kind = lines[i]:match "^(%s*)[*+-]%s+", "ul"
  if not indent then indent, kind = lines[i]:match "^(%s*)%d+[.)]%s+", "ol" end
  local out = { "<" .. kind .. ">" }
  local starts = "^" .. indent .. (kind == "ul" and "[*+-]%s+" or "%d+[.)]%s+")
  while lines[i] and lines[i]:match(starts) do
    local width = #lines[i]:match(starts)
    local item = { lines[i]:sub(width + 1) }
    i = i + 1
    while lines[i] do
      local line = lines[i]
      if line:match "^%s*$" then
        local next_line = lines[i + 1]
        if not next_line or #next_line:match "^%s*" <= #indent or next_line:match "^%s*$" then break end
        item[#item + 1] = ""
      elseif #line:match "^%s*" > #indent then
        item[#item + 1] = line:match("^" .. (" ?"):rep(width) .. "(.*)$")
      elseif line:match(starts) or line:match "^#" or line:match "^```" or line:match "^|" then
        break
      else
        item[#item + 1] = line
      end
      i = i + 1
    end
    local html = render(p, item)
    out[#out + 1] = "<li>" .. (html:match "^<p>([^\n]*)</p>$" or html) .. "</li>"
    while lines[i] and lines[i]:match "^%s*$" and lines[i + 1] and lines[i + 1]:match(starts) do i = i + 1 end
  end
  out[#out + 1] = "</" .. kind .. ">"
  return table.concat(out, "\n"), i
end

local function starts_block(lines, i)
  local line = lines[i]
  for _, start in ipairs { "^%s*$", "^#+%s", "^%s*```", "^%s*[*+-]%s+%S", "^%s*%d+[.)]%s+%S" } do
    if line:match(start) then return true end
  end
  return (line:match "^%s*|" and lines[i + 1] and lines[i + 1]:match "^%s*|?%s*:?%-%-")
end

function render(p, lines)
  local out, i = {}, 1
  while lines[i] do
    local line = lines[i]
    if line:match "^%s*$" then
      i = i + 1
    elseif line:match "^#+%s" then
      local marks, title = line:match "^(#+)%s+(.-)%s*#*$"
      p.anchors[anchor(title)] = true
      out[#out + 1] = ("<h%d id=\"%s\">%s</h%d>"):format(#marks, escape(anchor(title)), inline(p, title), #marks)
      i = i + 1
    elseif line:match "^%s*```" then
      local block, dent = {}, #line:match "^%s*"
      i = i + 1
      while lines[i] and not lines[i]:match "^%s*```" do
        block[#block + 1] = lines[i]:match("^" .. (" ?"):rep(dent) .. "(.*)$")
        i = i + 1
      end
      i = i + 1
      out[#out + 1] = "<pre><code>" .. escape(table.concat(block, "\n")) .. "</code></pre>"
    elseif line:match "^    " then
      local block = {}
      while lines[i] and (lines[i]:match "^    " or (lines[i]:match "^%s*$" and lines[i + 1] and lines[i + 1]:match "^    ")) do
        block[#block + 1] = lines[i]:sub(5)
        i = i + 1
      end
      out[#out + 1] = "<pre><code>" .. escape(table.concat(block, "\n")) .. "</code></pre>"
    elseif line:match "^%s*|" and starts_block(lines, i) then
      out[#out + 1], i = render_table(p, lines, i)
    elseif line:match "^%s*[*+-]%s+%S" or line:match "^%s*%d+[.)]%s+%S" then
      out[#out + 1], i = render_list(p, lines, i)
    else
      local text = {}
      repeat
        text[#text + 1] = lines[i]
        i = i + 1
      until not lines[i] or starts_block(lines, i)
      out[#out + 1] = "<p>" .. inline(p, table.concat(text, "\n")) .. "</p>"
    end
  end
  return table.concat(out, "\n")
end

local function split(text)
  local lines = {}
  for line in (text .. "\n"):gmatch "(.-)\r?\n" do lines[#lines + 1] = line end
  return lines
end

-- ---- Lua modules ------------------------------------------------------------------------------------------

-- The comment at the head of the file, then each --- comment with what it stands above.
local function module_markdown(name, text)
  local lines, out, i = split(text), { "# " .. name, "" }, 1
  while lines[i] and lines[i]:match "^%-%-" do
    out[#out + 1] = lines[i]:match "^%-+ ?(.*)$"
    i = i + 1
  end
  while lines[i] do
    if lines[i]:match "^%-%-%- " then
      local comment = {}
      while lines[i] and lines[i]:match "^%-%-" do
        comment[#comment + 1] = lines[i]:match "^%-+ ?(.*)$"
        i = i + 1
      end
      local subject = lines[i] and (lines[i]:match "^function ([%w_.:]+%b())" or lines[i]:match "^([%w_.]+) = ")
      if subject then
        for _, line in ipairs { "", "## `" .. subject .. "`", "" } do out[#out + 1] = line end
        for _, line in ipairs(comment) do out[#out + 1] = line end
      end
    end
    i = i + 1
  end
  return out
end

-- ---- all of it --------------------------------------------------------------------------------------------

local style = [[
body { max-width: 52em; margin: 2em auto; padding: 0 1em; font: 16px/1.5 system-ui, sans-serif; color: #222; }
nav { border-bottom: 1px solid #ccc; margin-bottom: 1em; padding-bottom: .5em; } nav a { margin-right: 1em; }
code { font: 0.9em ui-monospace, monospace; background: #f4f4f4; } pre { background: #f4f4f4; padding: .8em; overflow-x: auto; }
table { border-collapse: collapse; } th, td { border: 1px solid #ccc; padding: .3em .6em; text-align: left; vertical-align: top; }
]]

local sources = {}
for _, path in ipairs(list "ls README.md docs/*.md CONTRIBUTING.md CHANGELOG.md bogo/README.md 2>/dev/null") do
  local lines = split(read(path))
  local title = (lines[1] or ""):match "^#%s+(.*)$" or path
  local p = page(path, path == "README.md" and "index.html" or path:gsub("/", "-"):gsub("%.md$", "") .. ".html", title)
  sources[p] = function() return render(p, lines) end
end
for _, path in ipairs(list "find lua -name '*.lua' | sort") do
  local name = path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
  local p = page(path, "module-" .. name .. ".html", name)
  sources[p] = function() return render(p, module_markdown(name, read(path))) end
end
for _, path in ipairs(list "ls csrc/akushu.h 2>/dev/null") do
  local p = page(path, "akushu.h.html", "akushu.h: the engine in C")
  sources[p] = function() return "<h1>akushu.h</h1>\n<pre><code>" .. escape(read(path)) .. "</code></pre>" end
end
if not by_source["README.md"] then
  local p = page("README.md", "index.html", "akushu")
  sources[p] = function() return "<h1>akushu</h1>" end
end

local navigation = {}
for _, p in ipairs(pages) do p.html = sources[p]() end
for _, p in ipairs(pages) do
  navigation[#navigation + 1] = ("<li><a href=\"%s\">%s</a></li>"):format(escape(p.file), escape((p.title:gsub("`", ""))))
end

assert(os.execute("rm -rf " .. out_dir .. " && mkdir -p " .. out_dir))
local problems = {}
for _, p in ipairs(pages) do
  local index = p.file == "index.html"
  local html = table.concat({
    "<!DOCTYPE html>", "<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" .. escape(p.title) .. "</title>",
    "<style>", style .. "</style></head>", "<body>",
    index and "" or "<nav><a href=\"index.html\">akushu</a></nav>",
    p.html,
    index and "<h2>All pages</h2>\n<ul>\n" .. table.concat(navigation, "\n") .. "\n</ul>" or "",
    "</body></html>\n",
  }, "\n")
  local file = assert(io.open(out_dir .. "/" .. p.file, "wb"))
  assert(file:write(html))
  assert(file:close())
  for _, link in ipairs(p.links) do
    local to = by_source[link.path]
    if to then
      if link.fragment ~= "" and not to.anchors[link.fragment] then
        problems[#problems + 1] = ("%s: no '#%s' in %s"):format(p.source, link.fragment, link.path)
      end
    elseif not os.execute(("test -e '%s'"):format(link.path)) then
      problems[#problems + 1] = ("%s: %s is not there"):format(p.source, link.path)
    end
  end
end
for _, problem in ipairs(problems) do io.stderr:write(problem, "\n") end
print(("%s/index.html: %d pages"):format(out_dir, #pages))
if #problems > 0 then os.exit(1) end
