# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a report looks and moves: style sheet and script, both within the page."""

STYLE = """
:root{--ink:#1a1a1a;--soft:#5c5c5c;--page:#f4f3f0;--card:#fff;--grid:#e4e2dd;--wall:#b9b4ab;
--c0:#0064a4;--c1:#c85a00;--c2:#00805f;--band:#1a1a1a}
@media(prefers-color-scheme:dark){:root{--ink:#ececec;--soft:#a9a9a9;--page:#141516;--card:#1e2022;
--grid:#34373a;--wall:#666;--c0:#5cb8f5;--c1:#ff9f4a;--c2:#3fd0a4;--band:#fff;color-scheme:dark}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.45 system-ui,sans-serif}
main{max-width:1280px;margin:auto;padding:16px}
h1{font-size:1.35rem;margin:.2em 0;overflow-wrap:anywhere}h2{font-size:1rem;margin:0 0 .4em}
p{margin:.4em 0}.soft,figcaption{color:var(--soft);font-size:.86rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(118px,1fr));gap:10px;margin:14px 0}
.tile{background:var(--card);border-radius:8px;padding:8px 12px}
.tile b{display:block;font-size:1.3rem;font-variant-numeric:tabular-nums}
.tile span{color:var(--soft);font-size:.82rem}
.grid{stroke:var(--grid);stroke-width:1}.axis{stroke:var(--soft);stroke-width:1;fill:none}
.cards{display:grid;gap:14px;grid-template-columns:1fr}
section{background:var(--card);border-radius:8px;padding:12px 14px;min-width:0}
@media(min-width:760px){.cards{grid-template-columns:1fr 1fr}.wide{grid-column:1/-1}}
@media(min-width:1080px){.cards{grid-template-columns:1fr 1fr 1fr}
.two{grid-column:span 2;grid-row:span 3}}
svg{display:block;width:100%;height:auto;max-height:85vh}
svg text{fill:var(--ink);font-size:12px}svg .tick{fill:var(--soft);font-size:11.5px}
svg.map text{font-size:13px}@media(max-width:600px){svg.map text,svg.map .tick{font-size:19px}}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round}.line.c0{stroke-width:2.2}
.c0{stroke:var(--c0)}.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}
.truth{fill:none;stroke:var(--band);stroke-opacity:.2;stroke-width:7;stroke-linejoin:round}
.wall{stroke:var(--wall);stroke-width:4;stroke-linecap:round}
.anchor{fill:var(--ink);stroke:var(--card);stroke-width:1}
.anchor.out{fill:none;stroke:var(--ink);stroke-width:2}
svg .name{font-weight:600;paint-order:stroke;stroke:var(--card);stroke-width:3px}
.dot{stroke:var(--card);stroke-width:2}.dot.c0{fill:var(--c0)}.dot.c1{fill:var(--c1)}
.dot.c2{fill:var(--c2)}
.cross{stroke:var(--ink);stroke-width:2.4}.ellipse{fill:var(--c0);fill-opacity:.18;stroke:var(--c0)}
.asked{stroke:var(--ink);stroke-width:1.3;stroke-dasharray:1 4;stroke-linecap:round}
.cursor{stroke:var(--ink);stroke-width:1}.box{fill:var(--c0);fill-opacity:.35;stroke:var(--c0)}
.median{stroke:var(--ink);stroke-width:2.4}.cell{fill:var(--c0)}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;font-size:.86rem}
.legend span{display:inline-flex;align-items:center;gap:6px}.legend svg{width:28px;flex:none}
.play{display:flex;gap:10px;align-items:center;margin-top:6px}
.play input{flex:1;min-width:0;accent-color:var(--c0)}
button{font:inherit;padding:4px 12px;border-radius:6px;border:1px solid var(--soft);
background:var(--card);color:var(--ink);min-height:32px;min-width:68px}
:focus-visible{outline:3px solid var(--c1);outline-offset:2px}
output{display:block;min-height:2.9em;font-variant-numeric:tabular-nums}
.heats{display:grid;grid-template-columns:repeat(auto-fill,minmax(104px,1fr));gap:10px}
figure{margin:0;overflow-wrap:anywhere}.heats svg{max-height:150px;border:1px solid var(--grid)}
.note{border-left:4px solid var(--c1);background:var(--card);border-radius:8px;padding:8px 12px}
.tiles+section{margin-bottom:14px}.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:3px 8px;border-bottom:1px solid var(--grid)}
th:first-child,td:first-child{text-align:left}td{white-space:nowrap}.long td{white-space:normal}
@media(max-width:600px){table{font-size:.82rem}th,td{padding:3px 4px}
.stacked thead{position:absolute;clip-path:inset(50%)}
.stacked tr,.stacked td{display:block}.stacked tr{padding:6px 0;border-bottom:1px solid var(--grid)}
.stacked td{display:flex;gap:14px;justify-content:space-between;padding:1px 0;border:0;
white-space:normal;overflow-wrap:anywhere}.stacked td:first-child{font-weight:600}
.stacked td::before{content:attr(data-is);color:var(--soft);font-weight:400;white-space:nowrap}}
.scale{display:inline-block;width:90px;height:10px;vertical-align:middle;
background:linear-gradient(90deg,transparent,var(--c0));border:1px solid var(--grid)}
img{display:block;max-width:100%;height:auto;margin:auto}
@media(prefers-color-scheme:dark){img{filter:invert(.88) hue-rotate(180deg)}}
@media print{body{background:#fff}.play{display:none}}
"""

SCRIPT = """
(function(){
var d=JSON.parse(document.getElementById('data').textContent),s=document.getElementById('time'),
o=document.getElementById('now'),b=document.getElementById('play'),g=document.getElementById('asked'),
e=document.getElementById('ellipse'),timer=null,ns='http://www.w3.org/2000/svg';
function put(id,p){var n=document.getElementById(id);if(!n)return;
 if(!p||p[0]===null){n.setAttribute('visibility','hidden');return}
 n.removeAttribute('visibility');n.setAttribute('transform','translate('+p[0]+' '+p[1]+')')}
function show(i){
 var words=d.t[i].toFixed(1)+' s';
 d.tracks.forEach(function(t,k){put('dot'+k,t.at[i]);
  if(t.error&&t.error[i]!==null)words+=', '+t.name+' '+t.error[i].toFixed(2)+' m off'});
 put('true',d.truth?d.truth[i]:null);
 var q=d.ellipse[i],p=d.tracks[0].at[i];
 if(q&&p[0]!==null){e.setAttribute('rx',q[0]);e.setAttribute('ry',q[1]);
  e.setAttribute('transform','translate('+p[0]+' '+p[1]+') rotate('+q[2]+')')}
 while(g.firstChild)g.removeChild(g.firstChild);
 if(d.asked){var names=[];d.asked[i].forEach(function(a){names.push(d.ids[a]);
   if(p[0]===null)return;var l=document.createElementNS(ns,'line'),c=d.anchors[a];
   l.setAttribute('x1',c[0]);l.setAttribute('y1',c[1]);l.setAttribute('x2',p[0]);l.setAttribute('y2',p[1]);
   l.setAttribute('class','asked');g.appendChild(l)});
  words+='; asked '+(names.length>8?names.length+' anchors':names.join(', ')||'nobody')}
 if(d.state)words+='; '+d.state[i];

 document.querySelectorAll('.cursor').forEach(function(c){
  c.setAttribute('transform','translate('+d.x[i]+' 0)')});
 o.textContent=words;s.setAttribute('aria-valuetext',words)}
function stop(){clearInterval(timer);timer=null;b.textContent='Play';
b.setAttribute('aria-pressed','false')}
s.addEventListener('input',function(){show(+s.value)});
b.addEventListener('click',function(){if(timer){stop();return}
 if(+s.value>=d.t.length-1)s.value=0;b.textContent='Pause';b.setAttribute('aria-pressed','true');
 timer=setInterval(function(){if(+s.value>=d.t.length-1){stop();return}
  s.value=+s.value+1;show(+s.value)},60)});
show(+s.value)})();
"""
