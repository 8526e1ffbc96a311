const chips=[...document.querySelectorAll('.chip')];let pinned=null;
const show=s=>{document.body.classList.toggle('chosen',s!==null);
document.querySelectorAll('[data-s]').forEach(e=>e.classList.toggle('front',e.dataset.s===s))};
chips.forEach(c=>{c.addEventListener('mouseenter',()=>show(c.dataset.s));c.addEventListener('mouseleave',()=>show(pinned));
c.addEventListener('click',()=>{pinned=pinned===c.dataset.s?null:c.dataset.s;
chips.forEach(o=>o.setAttribute('aria-pressed',o.dataset.s===pinned));show(pinned)})});
