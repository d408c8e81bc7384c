import csv,sys
from collections import Counter,defaultdict
rows=list(csv.reader(open(sys.argv[1])))
h=rows[1]; idx={n:i for i,n in enumerate(h)}
per=float(sys.argv[2]) # warp-chunks
R=rows[2:]
def f(r,n):
    try: return float(r[idx[n]])
    except: return 0.0
stalls=[n for n in h if n.startswith('stall_') and 'Not Issued' not in n]
op=defaultdict(lambda:[0,0,0,0,0]); tot=Counter()
for r in R:
    s=r[idx['Source']].split(); o=[x for x in s if not x.startswith('@')][0].rstrip(';'); 
    o='.'.join(o.split('.')[:3 if o.startswith(('LDS','STS','LD','ST')) else 1])
    e=f(r,'Instructions Executed')/per
    op[o][0]+=e; op[o][1]+=f(r,'# Samples'); op[o][2]+=f(r,'L1 Wavefronts Shared')/per; op[o][3]+=f(r,'L1 Wavefronts Shared Ideal')/per
    for n in stalls: tot[n]+=f(r,n)
T=sum(v[1] for v in op.values())
print('instr per warp-chunk %.0f samples %d shared wavefronts %.0f ideal %.0f'%(sum(v[0] for v in op.values()),T,sum(v[2] for v in op.values()),sum(v[3] for v in op.values())))
print({k:'%.1f%%'%(100*v/T) for k,v in tot.most_common(12)})
for o,v in sorted(op.items(),key=lambda x:-x[1][0])[:34]: print('%-12s %7.1f instr %5.1f%% samples  wf %.1f ideal %.1f'%(o,v[0],100*v[1]/T,v[2],v[3]))
# regions split by BAR
print('regions by barrier/loop:')
acc=[0,0,0,Counter(),0]; start=0
def flush(i,why):
    if acc[0]>20: print(start,i,why,'instr %.0f samples %.1f%% wf %.0f'%(acc[0],100*acc[1]/T,acc[2]),{k[6:]:'%.1f'%(100*v/T) for k,v in acc[3].most_common(6)})
for i,r in enumerate(R):
    src=r[idx['Source']]
    acc[0]+=f(r,'Instructions Executed')/per; acc[1]+=f(r,'# Samples'); acc[2]+=f(r,'L1 Wavefronts Shared')/per
    for n in stalls: acc[3][n]+=f(r,n)
    if 'BAR' in src or 'WARPSYNC' in src or 'BRA' in src:
        flush(i,src.strip()[:20]); acc=[0,0,0,Counter(),0]; start=i+1
flush(len(R),'end')
