# Functions of the shell that started this process, kept by tsm: every run of it runs this text.
# bash needs extglob to read some of what it prints itself.
shopt -s extglob
serve () 
{ 
    helper
}
helper () 
{ 
    exec sleep 1000
}
'serve' "$@"
